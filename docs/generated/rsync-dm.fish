# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rsync_dm_global_optspecs
    string join \n V/version h/help
end

function __fish_rsync_dm_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rsync_dm_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rsync_dm_using_subcommand
    set -l cmd (__fish_rsync_dm_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -f -a "master" -d 'Run a master: sources, tasks, shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -f -a "worker" -d 'Run a worker: the replication of one source'
complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -f -a "ctl" -d 'Talk to a master'
complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -f -a "run" -d 'Run one task in this process, without master and workers'
complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -f -a "verify" -d 'Compare the target with the sources, row by row'
complete -c rsync-dm -n "__fish_rsync_dm_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l config -d 'Configuration file (TOML)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l master-addr -d 'Address to listen on (default :8261)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l advertise-addr -d 'Address that others reach this master at' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l name -d 'Name of this master' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l data-dir -d 'Folder of the store' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l secret-key-path -d 'File of 64 hexadecimal digits with which passwords are encrypted' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l ssl-ca -d 'Certificate (PEM) of the CA that the certificates of master, workers and ctl are of' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l ssl-cert -d 'Own certificate (PEM)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l ssl-key -d 'Key (PEM) of the own certificate' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l cert-allowed-cn -d 'Common names of the client certificates that are let in, separated by commas; all of the CA if not given' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -s L -l log-level -d 'Lowest level that is logged: debug, info, warn, error, fatal' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l log-file -d 'Log file; the terminal if not given' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l log-format -d 'Form of a log line: text or json' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -l print-sample-config -d 'Print a sample configuration and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand master" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l config -d 'Configuration file (TOML)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l worker-addr -d 'Address to listen on (default :8262)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l advertise-addr -d 'Address that the master reaches this worker at' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l join -d 'Addresses of masters, separated by commas' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l name -d 'Name of this worker, unique in the cluster (default: its address)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l keepalive-ttl -d 'Seconds without a sign of life after which the master gives the source to another worker' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l ssl-ca -d 'Certificate (PEM) of the CA that the certificates of master, workers and ctl are of' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l ssl-cert -d 'Own certificate (PEM)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l ssl-key -d 'Key (PEM) of the own certificate' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l cert-allowed-cn -d 'Common names of the client certificates that are let in, separated by commas; all of the CA if not given' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -s L -l log-level -d 'Lowest level that is logged: debug, info, warn, error, fatal' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l log-file -d 'Log file; the terminal if not given' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l log-format -d 'Form of a log line: text or json' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -l print-sample-config -d 'Print a sample configuration and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand worker" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -l ssl-ca -d 'Certificate (PEM) of the CA that the certificates of master, workers and ctl are of' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -l ssl-cert -d 'Own certificate (PEM)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -l ssl-key -d 'Key (PEM) of the own certificate' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "operate-source" -d 'Create, show or stop sources'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "check-task" -d 'Check the configuration of a task and what it needs'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "start-task" -d 'Start a task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "query-status" -d 'Show the state of tasks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "pause-task" -d 'Pause a task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "resume-task" -d 'Resume a paused task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "stop-task" -d 'Stop a task; its state tables stay in the target'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "shard-ddl-lock" -d 'Show or unlock shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "show-ddl-locks" -d 'Show shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "unlock-ddl-lock" -d 'Unlock a shard DDL lock'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "binlog" -d 'Skip, replace or add statements of the binlog'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "handle-error" -d 'Skip or replace a statement of the binlog'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "list-member" -d 'List masters and workers'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "offline-member" -d 'Forget a member that is gone'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "transfer-source" -d 'Give a source to another worker'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "config" -d 'Show the configuration of a task or a source'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "get-config" -d 'Show the configuration of a task or a source'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "encrypt" -d 'Encrypt a password with the master\'s key (or the one of --secret-key-path)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "decrypt" -d 'Decrypt a password with the key of --secret-key-path'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "meta-from" -d 'From the metadata files of dumps to where replication starts'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and not __fish_seen_subcommand_from operate-source check-task start-task query-status pause-task resume-task stop-task shard-ddl-lock show-ddl-locks unlock-ddl-lock binlog handle-error list-member offline-member transfer-source config get-config encrypt decrypt meta-from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -s w -l worker -d 'The worker that is to have the source' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -s p -l print-sample-config -d 'Print a sample source file'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from operate-source" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -s e -l error -d 'Most failures to show' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -s w -l warn -d 'Most warnings to show' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -l start-time -d 'Check for a start at this time of the source (2021-10-21 00:01:00, or with an offset)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from check-task" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -l start-time -d 'Begin with the first transaction at or after this time of the source (2021-10-21 00:01:00, or with an offset)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -l remove-meta -d 'Drop the task\'s state tables first'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from start-task" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -l more -d 'Everything, also without a task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from query-status" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -l batch-size -d 'Tasks at a time, if a whole source is operated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from pause-task" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -l batch-size -d 'Tasks at a time, if a whole source is operated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from resume-task" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -l batch-size -d 'Tasks at a time, if a whole source is operated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from stop-task" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -a "unlock" -d 'End the waiting of a lock'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from shard-ddl-lock" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from show-ddl-locks" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from show-ddl-locks" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from show-ddl-locks" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from show-ddl-locks" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from show-ddl-locks" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from show-ddl-locks" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from show-ddl-locks" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s o -l owner -d 'The source that runs the statements, in place of the owner' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s a -l action -d 'skip or exec (optimistic mode)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s d -l database -d 'Database of the table (optimistic mode)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s t -l table -d 'The table (optimistic mode)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s f -l force-remove -d 'Remove the lock even if its owner does not run the statements'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from unlock-ddl-lock" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -s b -l binlog-pos -d 'Where the event of the statement begins (FILE:POS, startLocation of the error); without it the statement on which the task is paused' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -f -a "skip" -d 'Do not run the statement'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -f -a "replace" -d 'Run others in its place'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -f -a "revert" -d 'Take back what was said about a statement, before it is reached'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -f -a "inject" -d 'Run others before it'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -f -a "list" -d 'Show what was said about statements that are still to come'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from binlog" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -s b -l binlog-pos -d 'Where the event of the statement begins' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from handle-error" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -s n -l name -d 'Only members of these names' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -s l -l leader -d 'The leader'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -s m -l master -d 'Masters'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -s w -l worker -d 'Workers'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from list-member" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -s n -l name -d 'Its name' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -s m -l master -d 'A master'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -s w -l worker -d 'A worker'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from offline-member" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from transfer-source" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from transfer-source" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from transfer-source" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from transfer-source" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from transfer-source" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from transfer-source" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from transfer-source" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -s p -l path -d 'Write it to this file' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from config" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -s p -l path -d 'Write it to this file' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from get-config" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from encrypt" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from encrypt" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from encrypt" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from encrypt" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from encrypt" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from encrypt" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from encrypt" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from decrypt" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from decrypt" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from decrypt" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from decrypt" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from decrypt" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from decrypt" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from decrypt" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -l task -d 'The task whose filter and target are used; give its source files with --source' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -l master-addr -d 'Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -l config -d 'Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -l rpc-timeout -d 'How long a call to the master may take' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -s s -l source -d 'Only these sources; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -l secret-key-path -d 'Key file for what is encrypted here and not at the master (decrypt, meta-from)' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -l write-checkpoint -d 'Write the checkpoint into the target\'s meta schema'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -l overwrite -d 'With --write-checkpoint: replace a checkpoint that is there'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from meta-from" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "operate-source" -d 'Create, show or stop sources'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "check-task" -d 'Check the configuration of a task and what it needs'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "start-task" -d 'Start a task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "query-status" -d 'Show the state of tasks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "pause-task" -d 'Pause a task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "resume-task" -d 'Resume a paused task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "stop-task" -d 'Stop a task; its state tables stay in the target'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "shard-ddl-lock" -d 'Show or unlock shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "show-ddl-locks" -d 'Show shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "unlock-ddl-lock" -d 'Unlock a shard DDL lock'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "binlog" -d 'Skip, replace or add statements of the binlog'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "handle-error" -d 'Skip or replace a statement of the binlog'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "list-member" -d 'List masters and workers'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "offline-member" -d 'Forget a member that is gone'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "transfer-source" -d 'Give a source to another worker'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "config" -d 'Show the configuration of a task or a source'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "get-config" -d 'Show the configuration of a task or a source'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "encrypt" -d 'Encrypt a password with the master\'s key (or the one of --secret-key-path)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "decrypt" -d 'Decrypt a password with the key of --secret-key-path'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "meta-from" -d 'From the metadata files of dumps to where replication starts'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand ctl; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l source -d 'File of a source; once for each source of the task' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l task -d 'File of the task' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l skip-ddl -d 'Do not run the DDL whose event begins there (startLocation of the error), as `ctl binlog skip`; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l replace-ddl -d 'Run other DDL in place of that whose event begins there, as `ctl binlog replace`; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l inject-ddl -d 'Run other DDL before that whose event begins there, as `ctl binlog inject`; may be repeated' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l secret-key-path -d 'File of 64 hexadecimal digits with which passwords are encrypted' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -s L -l log-level -d 'Lowest level that is logged: debug, info, warn, error, fatal' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l log-file -d 'Log file; the terminal if not given' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l log-format -d 'Form of a log line: text or json' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -l remove-meta -d 'Begin anew: forget the task\'s checkpoint and locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand run" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -l task -d 'The task file' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -l source -d 'A source file; once for each source of the task' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -l threads -d 'Ranges that are compared at a time' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -l chunk-rows -d 'Rows in a range' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -l wait-timeout -d 'How long to wait for the checkpoint to pass the sources\' positions' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -l max-report -d 'How many different rows are named' -r
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -l secret-key-path -d 'File of 64 hexadecimal digits with which passwords are encrypted' -r -F
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -s V -l version -d 'Print the version and exit'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand verify" -s h -l help -d 'Print help'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and not __fish_seen_subcommand_from master worker ctl run verify help" -f -a "master" -d 'Run a master: sources, tasks, shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and not __fish_seen_subcommand_from master worker ctl run verify help" -f -a "worker" -d 'Run a worker: the replication of one source'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and not __fish_seen_subcommand_from master worker ctl run verify help" -f -a "ctl" -d 'Talk to a master'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and not __fish_seen_subcommand_from master worker ctl run verify help" -f -a "run" -d 'Run one task in this process, without master and workers'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and not __fish_seen_subcommand_from master worker ctl run verify help" -f -a "verify" -d 'Compare the target with the sources, row by row'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and not __fish_seen_subcommand_from master worker ctl run verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "operate-source" -d 'Create, show or stop sources'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "check-task" -d 'Check the configuration of a task and what it needs'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "start-task" -d 'Start a task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "query-status" -d 'Show the state of tasks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "pause-task" -d 'Pause a task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "resume-task" -d 'Resume a paused task'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "stop-task" -d 'Stop a task; its state tables stay in the target'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "shard-ddl-lock" -d 'Show or unlock shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "show-ddl-locks" -d 'Show shard DDL locks'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "unlock-ddl-lock" -d 'Unlock a shard DDL lock'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "binlog" -d 'Skip, replace or add statements of the binlog'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "handle-error" -d 'Skip or replace a statement of the binlog'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "list-member" -d 'List masters and workers'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "offline-member" -d 'Forget a member that is gone'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "transfer-source" -d 'Give a source to another worker'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "config" -d 'Show the configuration of a task or a source'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "get-config" -d 'Show the configuration of a task or a source'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "encrypt" -d 'Encrypt a password with the master\'s key (or the one of --secret-key-path)'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "decrypt" -d 'Decrypt a password with the key of --secret-key-path'
complete -c rsync-dm -n "__fish_rsync_dm_using_subcommand help; and __fish_seen_subcommand_from ctl" -f -a "meta-from" -d 'From the metadata files of dumps to where replication starts'
