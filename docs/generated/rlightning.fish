# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rlightning_global_optspecs
    string join \n c/config= L/log-level= log-file= log-format= tidb-host= tidb-port= tidb-user= tidb-password= tidb-status= pd-urls= d/data-source-dir= backend= sorted-kv-dir= enable-checkpoint= no-schema= checksum= analyze= check-requirements= ca= cert= key= redact-info-log= status-addr= server-mode= f/filter= source-time-zone= retry-for= progress= programs= verify= V/version h/help
end

function __fish_rlightning_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rlightning_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rlightning_using_subcommand
    set -l cmd (__fish_rlightning_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rlightning -n "__fish_rlightning_needs_command" -s c -l config -d 'Read this tidb-lightning.toml' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -s L -l log-level -d 'Log level: debug, info, warn, error, fatal' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l log-file -d 'Write the log to this file; \'-\' is stdout' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l log-format -d 'Form of the log lines: text or json' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l tidb-host -d 'Host of the target server' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l tidb-port -d 'Port of the target server' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l tidb-user -d 'User on the target server' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l tidb-password -d 'Password on the target server' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l tidb-status -d 'Status port of a TiDB target; not used' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l pd-urls -d 'PD addresses of a TiDB target; not used' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -s d -l data-source-dir -d 'Folder or URL of the dump' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l backend -d 'tidb' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l sorted-kv-dir -d 'Work folder of the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l enable-checkpoint -d 'Go on with an unfinished task (default), or start a new one' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -l no-schema -d 'Never create schemas and tables' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -l checksum -d 'For the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l analyze -d 'For the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l check-requirements -d 'Check the target\'s tables before anything is written (default)' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -l ca -d 'Certificate authority for TLS' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l cert -d 'Client certificate for TLS' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l key -d 'Key of the client certificate' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l redact-info-log -d 'Keep values of rows out of the log' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -l status-addr -d 'Serve status, metrics, pause and resume at this address, such as :8289' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l server-mode -d 'Wait for tasks over HTTP (POST /tasks), at the address of --status-addr' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -s f -l filter -d 'Table filter, may be repeated' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l source-time-zone -d 'Time zone of the TIMESTAMP texts in the dump, such as +08:00' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l retry-for -d 'How long lost connections, deadlocks and the like are tried again (default 10m)' -r
complete -c rlightning -n "__fish_rlightning_needs_command" -l progress -d 'Draw progress bars on a terminal (default)' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -l programs -d 'Load triggers, routines and events of the dump, too, after the rows' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -l verify -d 'After the import, compare each row of the files with the target; slow' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_needs_command" -s V -l version -d 'Print the version'
complete -c rlightning -n "__fish_rlightning_needs_command" -s h -l help -d 'Print help'
complete -c rlightning -n "__fish_rlightning_needs_command" -f -a "check" -d 'Say what the import would hit, without writing anything'
complete -c rlightning -n "__fish_rlightning_needs_command" -f -a "ctl" -d 'Look at and change the record of unfinished tasks in the target'
complete -c rlightning -n "__fish_rlightning_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -s c -l config -d 'Read this tidb-lightning.toml' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -s L -l log-level -d 'Log level: debug, info, warn, error, fatal' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l log-file -d 'Write the log to this file; \'-\' is stdout' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l log-format -d 'Form of the log lines: text or json' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l tidb-host -d 'Host of the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l tidb-port -d 'Port of the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l tidb-user -d 'User on the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l tidb-password -d 'Password on the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l tidb-status -d 'Status port of a TiDB target; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l pd-urls -d 'PD addresses of a TiDB target; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -s d -l data-source-dir -d 'Folder or URL of the dump' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l backend -d 'tidb' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l sorted-kv-dir -d 'Work folder of the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l enable-checkpoint -d 'Go on with an unfinished task (default), or start a new one' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l no-schema -d 'Never create schemas and tables' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l checksum -d 'For the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l analyze -d 'For the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l check-requirements -d 'Check the target\'s tables before anything is written (default)' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l ca -d 'Certificate authority for TLS' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l cert -d 'Client certificate for TLS' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l key -d 'Key of the client certificate' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l redact-info-log -d 'Keep values of rows out of the log' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l status-addr -d 'Serve status, metrics, pause and resume at this address, such as :8289' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l server-mode -d 'Wait for tasks over HTTP (POST /tasks), at the address of --status-addr' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -s f -l filter -d 'Table filter, may be repeated' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l source-time-zone -d 'Time zone of the TIMESTAMP texts in the dump, such as +08:00' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l retry-for -d 'How long lost connections, deadlocks and the like are tried again (default 10m)' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l progress -d 'Draw progress bars on a terminal (default)' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l programs -d 'Load triggers, routines and events of the dump, too, after the rows' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l verify -d 'After the import, compare each row of the files with the target; slow' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l sample -d 'Read a part of the data only: quicker, and nothing is proved' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -l ddl-file -d 'Write the DDL that the target needs to this file, too' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -s V -l version -d 'Print the version'
complete -c rlightning -n "__fish_rlightning_using_subcommand check" -s h -l help -d 'Print help'
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -s c -l config -d 'Read this tidb-lightning.toml' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -s L -l log-level -d 'Log level: debug, info, warn, error, fatal' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l log-file -d 'Write the log to this file; \'-\' is stdout' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l log-format -d 'Form of the log lines: text or json' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l tidb-host -d 'Host of the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l tidb-port -d 'Port of the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l tidb-user -d 'User on the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l tidb-password -d 'Password on the target server' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l tidb-status -d 'Status port of a TiDB target; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l pd-urls -d 'PD addresses of a TiDB target; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -s d -l data-source-dir -d 'Folder or URL of the dump' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l backend -d 'tidb' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l sorted-kv-dir -d 'Work folder of the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l enable-checkpoint -d 'Go on with an unfinished task (default), or start a new one' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l no-schema -d 'Never create schemas and tables' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l checksum -d 'For the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l analyze -d 'For the local backend; not used' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l check-requirements -d 'Check the target\'s tables before anything is written (default)' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l ca -d 'Certificate authority for TLS' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l cert -d 'Client certificate for TLS' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l key -d 'Key of the client certificate' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l redact-info-log -d 'Keep values of rows out of the log' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l status-addr -d 'Serve status, metrics, pause and resume at this address, such as :8289' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l server-mode -d 'Wait for tasks over HTTP (POST /tasks), at the address of --status-addr' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -s f -l filter -d 'Table filter, may be repeated' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l source-time-zone -d 'Time zone of the TIMESTAMP texts in the dump, such as +08:00' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l retry-for -d 'How long lost connections, deadlocks and the like are tried again (default 10m)' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l progress -d 'Draw progress bars on a terminal (default)' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l programs -d 'Load triggers, routines and events of the dump, too, after the rows' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l verify -d 'After the import, compare each row of the files with the target; slow' -r -f -a "true\t''
false\t''
True\t''
False\t''
TRUE\t''
FALSE\t''
t\t''
f\t''
T\t''
F\t''
1\t''
0\t''"
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l checkpoint-remove -d 'Forget what was imported into a table: all, or `db`.`table`' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l checkpoint-error-ignore -d 'Take a table as it is now for the one that was written to: all, or `db`.`table`' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l checkpoint-error-destroy -d 'Empty a table of an unfinished task, if it holds this task\'s rows only, and forget them: all, or `db`.`table`' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l checkpoint-dump -d 'Write the ledger as CSV files into this folder' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l compact -d 'For the local backend; refused' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l switch-mode -d 'For the local backend; refused' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l fetch-mode -d 'For the local backend; refused' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l check-local-storage -d 'For the local backend; refused' -r
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -s V -l version -d 'Print the version'
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l list -d 'List unfinished tasks and finished tables'
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -l json -d 'List as JSON'
complete -c rlightning -n "__fish_rlightning_using_subcommand ctl" -s h -l help -d 'Print help'
complete -c rlightning -n "__fish_rlightning_using_subcommand help; and not __fish_seen_subcommand_from check ctl help" -f -a "check" -d 'Say what the import would hit, without writing anything'
complete -c rlightning -n "__fish_rlightning_using_subcommand help; and not __fish_seen_subcommand_from check ctl help" -f -a "ctl" -d 'Look at and change the record of unfinished tasks in the target'
complete -c rlightning -n "__fish_rlightning_using_subcommand help; and not __fish_seen_subcommand_from check ctl help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
