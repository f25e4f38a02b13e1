_rdump() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="rdump"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        rdump)
            opts="-h -P -u -p -B -T -f -d -m -W -t -r -F -s -c -o -L -V --host --port --user --password --password-file --ask-password --ca --cert --key --params --allow-cleartext-passwords --tidb-mem-quota-query --database --tables-list --filter --case-sensitive --where --no-data --no-schemas --no-views --no-sequences --dump-empty-database --threads --rows --filesize --statement-size --order-by-primary-key --filetype --compress --compress-level --complete-insert --escape-backslash --no-header --csv-separator --csv-delimiter --csv-null-value --csv-line-terminator --csv-output-dialect --output --against-source --resume --resume-chunks --output-filename-template --column-filter --mask --mask-file --mask-key-file --column-filter-file --dumpling-bytes --portable --include-generated-columns --parquet-page-size --parquet-row-group-size --parquet-compress --parquet-times --consistency --snapshot --lock-wait-timeout --long-query-limit --block-ddl --rate-limit --max-load --critical-load --config --dry-run --loglevel --logfile --logfmt --status-addr --help --version --s3.endpoint --s3.region --s3.storage-class --s3.sse --s3.sse-kms-key-id --s3.acl --s3.provider --s3.role-arn --s3.external-id --azblob.endpoint --azblob.account-name --azblob.account-key --azblob.sas-token --azblob.encryption-key"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -h)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -P)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --password-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ca)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cert)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --params)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-mem-quota-query)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --database)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -B)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tables-list)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -T)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --filter)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --where)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -t)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rows)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --filesize)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -F)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --statement-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --filetype)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --compress)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --compress-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --csv-separator)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --csv-delimiter)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --csv-null-value)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --csv-line-terminator)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --csv-output-dialect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output-filename-template)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --column-filter)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mask)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mask-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mask-key-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --column-filter-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --include-generated-columns)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --parquet-page-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --parquet-row-group-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --parquet-compress)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --parquet-times)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --consistency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --snapshot)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lock-wait-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --long-query-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rate-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-load)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --critical-load)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --loglevel)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -L)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logfmt)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.storage-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.sse)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.sse-kms-key-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.acl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.provider)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.role-arn)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --s3.external-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --azblob.endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --azblob.account-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --azblob.account-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --azblob.sas-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --azblob.encryption-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _rdump -o nosort -o bashdefault -o default rdump
else
    complete -F _rdump -o bashdefault -o default rdump
fi
