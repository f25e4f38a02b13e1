_rsync__dm() {
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
                cmd="rsync__dm"
                ;;
            rsync__dm,ctl)
                cmd="rsync__dm__subcmd__ctl"
                ;;
            rsync__dm,help)
                cmd="rsync__dm__subcmd__help"
                ;;
            rsync__dm,master)
                cmd="rsync__dm__subcmd__master"
                ;;
            rsync__dm,run)
                cmd="rsync__dm__subcmd__run"
                ;;
            rsync__dm,verify)
                cmd="rsync__dm__subcmd__verify"
                ;;
            rsync__dm,worker)
                cmd="rsync__dm__subcmd__worker"
                ;;
            rsync__dm__subcmd__ctl,binlog)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog"
                ;;
            rsync__dm__subcmd__ctl,check-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__check__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl,config)
                cmd="rsync__dm__subcmd__ctl__subcmd__config"
                ;;
            rsync__dm__subcmd__ctl,decrypt)
                cmd="rsync__dm__subcmd__ctl__subcmd__decrypt"
                ;;
            rsync__dm__subcmd__ctl,encrypt)
                cmd="rsync__dm__subcmd__ctl__subcmd__encrypt"
                ;;
            rsync__dm__subcmd__ctl,get-config)
                cmd="rsync__dm__subcmd__ctl__subcmd__get__subcmd__config"
                ;;
            rsync__dm__subcmd__ctl,handle-error)
                cmd="rsync__dm__subcmd__ctl__subcmd__handle__subcmd__error"
                ;;
            rsync__dm__subcmd__ctl,help)
                cmd="rsync__dm__subcmd__ctl__subcmd__help"
                ;;
            rsync__dm__subcmd__ctl,list-member)
                cmd="rsync__dm__subcmd__ctl__subcmd__list__subcmd__member"
                ;;
            rsync__dm__subcmd__ctl,meta-from)
                cmd="rsync__dm__subcmd__ctl__subcmd__meta__subcmd__from"
                ;;
            rsync__dm__subcmd__ctl,offline-member)
                cmd="rsync__dm__subcmd__ctl__subcmd__offline__subcmd__member"
                ;;
            rsync__dm__subcmd__ctl,operate-source)
                cmd="rsync__dm__subcmd__ctl__subcmd__operate__subcmd__source"
                ;;
            rsync__dm__subcmd__ctl,pause-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__pause__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl,query-status)
                cmd="rsync__dm__subcmd__ctl__subcmd__query__subcmd__status"
                ;;
            rsync__dm__subcmd__ctl,resume-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__resume__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl,shard-ddl-lock)
                cmd="rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock"
                ;;
            rsync__dm__subcmd__ctl,show-ddl-locks)
                cmd="rsync__dm__subcmd__ctl__subcmd__show__subcmd__ddl__subcmd__locks"
                ;;
            rsync__dm__subcmd__ctl,start-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__start__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl,stop-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__stop__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl,transfer-source)
                cmd="rsync__dm__subcmd__ctl__subcmd__transfer__subcmd__source"
                ;;
            rsync__dm__subcmd__ctl,unlock-ddl-lock)
                cmd="rsync__dm__subcmd__ctl__subcmd__unlock__subcmd__ddl__subcmd__lock"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog,help)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog,inject)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__inject"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog,list)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__list"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog,replace)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__replace"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog,revert)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__revert"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog,skip)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__skip"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help,help)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__help"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help,inject)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__inject"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help,list)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__list"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help,replace)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__replace"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help,revert)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__revert"
                ;;
            rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help,skip)
                cmd="rsync__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__skip"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,binlog)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,check-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__check__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,config)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__config"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,decrypt)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__decrypt"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,encrypt)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__encrypt"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,get-config)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__get__subcmd__config"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,handle-error)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__handle__subcmd__error"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,help)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__help"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,list-member)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__list__subcmd__member"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,meta-from)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__meta__subcmd__from"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,offline-member)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__offline__subcmd__member"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,operate-source)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__operate__subcmd__source"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,pause-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__pause__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,query-status)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__query__subcmd__status"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,resume-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__resume__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,shard-ddl-lock)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__shard__subcmd__ddl__subcmd__lock"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,show-ddl-locks)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__show__subcmd__ddl__subcmd__locks"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,start-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__start__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,stop-task)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__stop__subcmd__task"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,transfer-source)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__transfer__subcmd__source"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help,unlock-ddl-lock)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__unlock__subcmd__ddl__subcmd__lock"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog,inject)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__inject"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog,list)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__list"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog,replace)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__replace"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog,revert)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__revert"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog,skip)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__skip"
                ;;
            rsync__dm__subcmd__ctl__subcmd__help__subcmd__shard__subcmd__ddl__subcmd__lock,unlock)
                cmd="rsync__dm__subcmd__ctl__subcmd__help__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__unlock"
                ;;
            rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock,help)
                cmd="rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help"
                ;;
            rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock,unlock)
                cmd="rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__unlock"
                ;;
            rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help,help)
                cmd="rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help__subcmd__help"
                ;;
            rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help,unlock)
                cmd="rsync__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help__subcmd__unlock"
                ;;
            rsync__dm__subcmd__help,ctl)
                cmd="rsync__dm__subcmd__help__subcmd__ctl"
                ;;
            rsync__dm__subcmd__help,help)
                cmd="rsync__dm__subcmd__help__subcmd__help"
                ;;
            rsync__dm__subcmd__help,master)
                cmd="rsync__dm__subcmd__help__subcmd__master"
                ;;
            rsync__dm__subcmd__help,run)
                cmd="rsync__dm__subcmd__help__subcmd__run"
                ;;
            rsync__dm__subcmd__help,verify)
                cmd="rsync__dm__subcmd__help__subcmd__verify"
                ;;
            rsync__dm__subcmd__help,worker)
                cmd="rsync__dm__subcmd__help__subcmd__worker"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,binlog)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,check-task)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__check__subcmd__task"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,config)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__config"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,decrypt)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__decrypt"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,encrypt)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__encrypt"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,get-config)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__get__subcmd__config"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,handle-error)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__handle__subcmd__error"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,list-member)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__list__subcmd__member"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,meta-from)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__meta__subcmd__from"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,offline-member)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__offline__subcmd__member"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,operate-source)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__operate__subcmd__source"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,pause-task)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__pause__subcmd__task"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,query-status)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__query__subcmd__status"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,resume-task)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__resume__subcmd__task"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,shard-ddl-lock)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,show-ddl-locks)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__show__subcmd__ddl__subcmd__locks"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,start-task)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__start__subcmd__task"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,stop-task)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__stop__subcmd__task"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,transfer-source)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__transfer__subcmd__source"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl,unlock-ddl-lock)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__unlock__subcmd__ddl__subcmd__lock"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog,inject)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__inject"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog,list)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__list"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog,replace)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__replace"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog,revert)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__revert"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog,skip)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__skip"
                ;;
            rsync__dm__subcmd__help__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock,unlock)
                cmd="rsync__dm__subcmd__help__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__unlock"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        rsync__dm)
            opts="-V -h --version --help master worker ctl run verify help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl)
            opts="-s -V -h --master-addr --config --rpc-timeout --source --secret-key-path --ssl-ca --ssl-cert --ssl-key --version --help operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-ca)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-cert)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-key)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog)
            opts="-b -s -V -h --binlog-pos --master-addr --config --rpc-timeout --source --secret-key-path --version --help skip replace revert inject list help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --binlog-pos)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__help)
            opts="skip replace revert inject list help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__inject)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__list)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__replace)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__revert)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__help__subcmd__skip)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__inject)
            opts="-b -s -V -h --binlog-pos --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --binlog-pos)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__list)
            opts="-b -s -V -h --binlog-pos --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --binlog-pos)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__replace)
            opts="-b -s -V -h --binlog-pos --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --binlog-pos)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__revert)
            opts="-b -s -V -h --binlog-pos --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --binlog-pos)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__binlog__subcmd__skip)
            opts="-b -s -V -h --binlog-pos --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --binlog-pos)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__check__subcmd__task)
            opts="-e -w -s -V -h --error --warn --start-time --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --error)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --warn)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -w)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --start-time)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__config)
            opts="-p -s -V -h --path --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__decrypt)
            opts="-s -V -h --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__encrypt)
            opts="-s -V -h --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__get__subcmd__config)
            opts="-p -s -V -h --path --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__handle__subcmd__error)
            opts="-b -s -V -h --binlog-pos --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --binlog-pos)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help)
            opts="operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help"
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__binlog)
            opts="skip replace revert inject list"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__inject)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__list)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__replace)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__revert)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__binlog__subcmd__skip)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__check__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__config)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__decrypt)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__encrypt)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__get__subcmd__config)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__handle__subcmd__error)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__list__subcmd__member)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__meta__subcmd__from)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__offline__subcmd__member)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__operate__subcmd__source)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__pause__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__query__subcmd__status)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__resume__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__shard__subcmd__ddl__subcmd__lock)
            opts="unlock"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__unlock)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__show__subcmd__ddl__subcmd__locks)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__start__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__stop__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__transfer__subcmd__source)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__help__subcmd__unlock__subcmd__ddl__subcmd__lock)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__list__subcmd__member)
            opts="-l -m -w -n -s -V -h --leader --master --worker --name --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -n)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__meta__subcmd__from)
            opts="-s -V -h --task --write-checkpoint --overwrite --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --task)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__offline__subcmd__member)
            opts="-m -w -n -s -V -h --master --worker --name --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -n)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__operate__subcmd__source)
            opts="-w -p -s -V -h --worker --print-sample-config --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --worker)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -w)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__pause__subcmd__task)
            opts="-s -V -h --batch-size --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__query__subcmd__status)
            opts="-s -V -h --more --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__resume__subcmd__task)
            opts="-s -V -h --batch-size --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock)
            opts="-s -V -h --master-addr --config --rpc-timeout --source --secret-key-path --version --help unlock help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help)
            opts="unlock help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__help__subcmd__unlock)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__unlock)
            opts="-o -f -a -d -t -s -V -h --owner --force-remove --action --database --table --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --owner)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --action)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --database)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --table)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -t)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__show__subcmd__ddl__subcmd__locks)
            opts="-s -V -h --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__start__subcmd__task)
            opts="-s -V -h --remove-meta --start-time --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --start-time)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__stop__subcmd__task)
            opts="-s -V -h --batch-size --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__transfer__subcmd__source)
            opts="-s -V -h --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__ctl__subcmd__unlock__subcmd__ddl__subcmd__lock)
            opts="-o -f -a -d -t -s -V -h --owner --force-remove --action --database --table --master-addr --config --rpc-timeout --source --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --owner)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --action)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --database)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --table)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -t)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rpc-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__help)
            opts="master worker ctl run verify help"
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl)
            opts="operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from"
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__binlog)
            opts="skip replace revert inject list"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__inject)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__list)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__replace)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__revert)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__binlog__subcmd__skip)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__check__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__config)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__decrypt)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__encrypt)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__get__subcmd__config)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__handle__subcmd__error)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__list__subcmd__member)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__meta__subcmd__from)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__offline__subcmd__member)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__operate__subcmd__source)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__pause__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__query__subcmd__status)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__resume__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock)
            opts="unlock"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__shard__subcmd__ddl__subcmd__lock__subcmd__unlock)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__show__subcmd__ddl__subcmd__locks)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__start__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__stop__subcmd__task)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__transfer__subcmd__source)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__ctl__subcmd__unlock__subcmd__ddl__subcmd__lock)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
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
        rsync__subcmd__dm__subcmd__help__subcmd__help)
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
        rsync__subcmd__dm__subcmd__help__subcmd__master)
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
        rsync__subcmd__dm__subcmd__help__subcmd__run)
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
        rsync__subcmd__dm__subcmd__help__subcmd__verify)
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
        rsync__subcmd__dm__subcmd__help__subcmd__worker)
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
        rsync__subcmd__dm__subcmd__master)
            opts="-L -V -h --config --master-addr --advertise-addr --name --data-dir --secret-key-path --ssl-ca --ssl-cert --ssl-key --cert-allowed-cn --log-level --log-file --log-format --print-sample-config --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --master-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --data-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-ca)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-cert)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cert-allowed-cn)
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        rsync__subcmd__dm__subcmd__run)
            opts="-L -V -h --source --task --remove-meta --skip-ddl --replace-ddl --inject-ddl --secret-key-path --log-level --log-file --log-format --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --task)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --skip-ddl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --replace-ddl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inject-ddl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        rsync__subcmd__dm__subcmd__verify)
            opts="-V -h --task --source --threads --chunk-rows --wait-timeout --max-report --secret-key-path --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --task)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --chunk-rows)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --wait-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-report)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key-path)
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
        rsync__subcmd__dm__subcmd__worker)
            opts="-L -V -h --config --worker-addr --advertise-addr --join --name --keepalive-ttl --ssl-ca --ssl-cert --ssl-key --cert-allowed-cn --log-level --log-file --log-format --print-sample-config --version --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --worker-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --join)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keepalive-ttl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-ca)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-cert)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cert-allowed-cn)
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
    complete -F _rsync__dm -o nosort -o bashdefault -o default rsync-dm
else
    complete -F _rsync__dm -o bashdefault -o default rsync-dm
fi
