_rlightning() {
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
                cmd="rlightning"
                ;;
            rlightning,check)
                cmd="rlightning__subcmd__check"
                ;;
            rlightning,ctl)
                cmd="rlightning__subcmd__ctl"
                ;;
            rlightning,help)
                cmd="rlightning__subcmd__help"
                ;;
            rlightning__subcmd__help,check)
                cmd="rlightning__subcmd__help__subcmd__check"
                ;;
            rlightning__subcmd__help,ctl)
                cmd="rlightning__subcmd__help__subcmd__ctl"
                ;;
            rlightning__subcmd__help,help)
                cmd="rlightning__subcmd__help__subcmd__help"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        rlightning)
            opts="-c -L -d -f -V -h --config --log-level --log-file --log-format --tidb-host --tidb-port --tidb-user --tidb-password --tidb-status --pd-urls --data-source-dir --backend --sorted-kv-dir --enable-checkpoint --no-schema --checksum --analyze --check-requirements --ca --cert --key --redact-info-log --status-addr --server-mode --filter --source-time-zone --retry-for --progress --programs --verify --version --help check ctl help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -L)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pd-urls)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --data-source-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --backend)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sorted-kv-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-checkpoint)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --no-schema)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --checksum)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --analyze)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --check-requirements)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
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
                --redact-info-log)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --status-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --server-mode)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
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
                --source-time-zone)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --retry-for)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --programs)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --verify)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        rlightning__subcmd__check)
            opts="-c -L -d -f -V -h --config --log-level --log-file --log-format --tidb-host --tidb-port --tidb-user --tidb-password --tidb-status --pd-urls --data-source-dir --backend --sorted-kv-dir --enable-checkpoint --no-schema --checksum --analyze --check-requirements --ca --cert --key --redact-info-log --status-addr --server-mode --filter --source-time-zone --retry-for --progress --programs --verify --version --sample --ddl-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -L)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pd-urls)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --data-source-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --backend)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sorted-kv-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-checkpoint)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --no-schema)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --checksum)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --analyze)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --check-requirements)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
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
                --redact-info-log)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --status-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --server-mode)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
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
                --source-time-zone)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --retry-for)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --programs)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --verify)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --sample)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --ddl-file)
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
        rlightning__subcmd__ctl)
            opts="-c -L -d -f -V -h --config --log-level --log-file --log-format --tidb-host --tidb-port --tidb-user --tidb-password --tidb-status --pd-urls --data-source-dir --backend --sorted-kv-dir --enable-checkpoint --no-schema --checksum --analyze --check-requirements --ca --cert --key --redact-info-log --status-addr --server-mode --filter --source-time-zone --retry-for --progress --programs --verify --version --checkpoint-remove --checkpoint-error-ignore --checkpoint-error-destroy --checkpoint-dump --list --json --compact --switch-mode --fetch-mode --check-local-storage --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -L)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tidb-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pd-urls)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --data-source-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --backend)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sorted-kv-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-checkpoint)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --no-schema)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --checksum)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --analyze)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --check-requirements)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
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
                --redact-info-log)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --status-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --server-mode)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
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
                --source-time-zone)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --retry-for)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --programs)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --verify)
                    COMPREPLY=($(compgen -W "true false True False TRUE FALSE t f T F 1 0" -- "${cur}"))
                    return 0
                    ;;
                --checkpoint-remove)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --checkpoint-error-ignore)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --checkpoint-error-destroy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --checkpoint-dump)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --compact)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --switch-mode)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --fetch-mode)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --check-local-storage)
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
        rlightning__subcmd__help)
            opts="check ctl help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        rlightning__subcmd__help__subcmd__check)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        rlightning__subcmd__help__subcmd__ctl)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        rlightning__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
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
    complete -F _rlightning -o nosort -o bashdefault -o default rlightning
else
    complete -F _rlightning -o bashdefault -o default rlightning
fi
