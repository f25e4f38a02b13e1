complete -c rdump -s h -l host -d 'Host to connect to (TCP)' -r
complete -c rdump -s P -l port -d 'Port to connect to' -r
complete -c rdump -s u -l user -d 'User name' -r
complete -c rdump -s p -l password -d 'Password; it is wiped from the process list. Without this flag $MYSQL_PWD is taken' -r
complete -c rdump -l password-file -d 'File with the password; the end of its last line is cut off' -r
complete -c rdump -l ca -d 'CA certificate file; with it the server\'s chain is verified' -r
complete -c rdump -l cert -d 'Client certificate file' -r
complete -c rdump -l key -d 'Client private key file' -r
complete -c rdump -l params -d 'Session variables for every connection, for example time_zone=+00:00; unknown ones are skipped' -r
complete -c rdump -l tidb-mem-quota-query -d 'Bytes a query may use on TiDB; 0 leaves the server\'s setting' -r
complete -c rdump -s B -l database -d 'Databases to dump, exact names' -r
complete -c rdump -s T -l tables-list -d 'Tables to dump as db.table, exact names; not together with --filter' -r
complete -c rdump -s f -l filter -d 'Table filter rules; the last that matches wins. Giving any rule drops the default' -r
complete -c rdump -l where -d 'Condition on the rows of every table' -r
complete -c rdump -s t -l threads -d 'Connections that read rows at the same time' -r
complete -c rdump -s r -l rows -d 'Split tables into chunks of about this many rows, read in parallel; auto: by size and readers; 0 does not split' -r
complete -c rdump -s F -l filesize -d 'Begin a new file after about this many bytes (before compression), for example 256MiB' -r
complete -c rdump -s s -l statement-size -d 'Bytes of one INSERT statement, about; 0: no limit' -r
complete -c rdump -l filetype -d 'sql, csv or parquet; sql if not given, csv with --sql' -r
complete -c rdump -s c -l compress -d 'gzip, snappy, zstd or no-compression' -r
complete -c rdump -l compress-level -d 'Level of gzip (0 to 9, else 6) or zstd (1 to 22, else 3)' -r
complete -c rdump -l csv-separator -d 'Between CSV fields' -r
complete -c rdump -l csv-delimiter -d 'Around CSV fields that are no numbers; may be empty' -r
complete -c rdump -l csv-null-value -d 'NULL in CSV, written without the delimiter' -r
complete -c rdump -l csv-line-terminator -d 'End of a CSV record; in a shell write $\'\\n\'' -r
complete -c rdump -l csv-output-dialect -d 'How CSV shows binary data: default (raw), snowflake and redshift (hex), bigquery (base64)' -r
complete -c rdump -s o -l output -d 'Folder for the dump; default ./export-TIME' -r
complete -c rdump -l output-filename-template -d 'Names of files by Go\'s text/template, for example \'{{fn .DB}}/{{fn .Table}}.{{.Index}}\'' -r
complete -c rdump -l column-filter -d 'Columns to dump: {matcher=[\'db.t*\'], columns=[\'*\', \'!secret\']}; may be repeated, the first that takes a table decides; with -m' -r
complete -c rdump -l mask -d 'Values to replace: {matcher=[\'db.t*\'], columns=[\'email\'], with=\'hash\'}; with = hash, keep-length, null, or fixed and a value; may be repeated, the first that takes a column decides' -r
complete -c rdump -l mask-file -d 'TOML file with [[mask]] tables of the same form' -r
complete -c rdump -l mask-key-file -d 'File with the secret of hash and keep-length; equal values have equal masks under the same secret' -r
complete -c rdump -l column-filter-file -d 'TOML file with [[column-filter]] tables of the same form' -r
complete -c rdump -l include-generated-columns -d 'none, or stored: columns that are generated and stored are written to CSV and Parquet, too' -r
complete -c rdump -l parquet-page-size -d 'Parquet: bytes of values that make a page full' -r
complete -c rdump -l parquet-row-group-size -d 'Parquet: bytes of values that make a row group full, which each reader keeps in memory, compressed' -r
complete -c rdump -l parquet-compress -d 'Parquet: compression of pages, where it shall not be that of --compress' -r
complete -c rdump -l parquet-times -d 'Parquet: typed (a zero date, or a TIME that is no time of a day, ends the dump), or text, as the server prints them' -r
complete -c rdump -l consistency -d 'auto, flush (global read lock), lock (LOCK TABLES), snapshot (TiDB) or none' -r
complete -c rdump -l snapshot -d 'TiDB: dump as of this TSO or time, \'YYYY-MM-DD hh:mm:ss\'' -r
complete -c rdump -l lock-wait-timeout -d 'How long to wait for a lock, and for long statements before it; 0: as long as the server lets' -r
complete -c rdump -l long-query-limit -d 'The global read lock is not asked for while statements run for longer than this; 0: it is' -r
complete -c rdump -l rate-limit -d 'Bytes a second of all readers together, for example 50MiB' -r
complete -c rdump -l max-load -d 'Pause above these values: status variables such as Threads_running=25, history=1000000 (InnoDB), lag=10 (seconds)' -r
complete -c rdump -l critical-load -d 'End the dump above these values, of the same form' -r
complete -c rdump -l config -d 'TOML file with flags: host = "db1", rows = 200000, filter = ["shop.*"], ...' -r
complete -c rdump -l loglevel -d 'debug, info, warn, error' -r
complete -c rdump -s L -l logfile -d 'Log file; without it the log goes to stdout' -r
complete -c rdump -l logfmt -d 'text or json' -r
complete -c rdump -l status-addr -d 'Address of /metrics and /status; empty: none' -r
complete -c rdump -l s3.endpoint -d 'Address of an S3 service that is not AWS, such as https://minio:9000' -r
complete -c rdump -l s3.region -d 'Region; on AWS it is looked up if it is not given' -r
complete -c rdump -l s3.storage-class -d 'Storage class of the files' -r
complete -c rdump -l s3.sse -d 'Encryption by the service: AES256, aws:kms or aws:kms:dsse' -r
complete -c rdump -l s3.sse-kms-key-id -d 'Key of --s3.sse aws:kms' -r
complete -c rdump -l s3.acl -d 'Only private; other rights are set by a policy of the bucket' -r
complete -c rdump -l s3.provider -d 'aws, alibaba, ceph, minio, netease and others: how the bucket is addressed' -r
complete -c rdump -l s3.role-arn -d 'Role that is assumed for the bucket' -r
complete -c rdump -l s3.external-id -d 'External id for that role' -r
complete -c rdump -l azblob.endpoint -d 'Address of a blob service that is not Azure' -r
complete -c rdump -l azblob.account-name -d 'Storage account; else $AZURE_STORAGE_ACCOUNT' -r
complete -c rdump -l azblob.account-key -d 'Key of the account; it is wiped from the process list' -r
complete -c rdump -l azblob.sas-token -d 'Shared access signature; it is wiped from the process list' -r
complete -c rdump -l azblob.encryption-key -d 'Key of the customer in base64; it is wiped from the process list' -r
complete -c rdump -l ask-password -d 'Ask for the password, or read a line from stdin'
complete -c rdump -l allow-cleartext-passwords -d 'Allow the mysql_clear_password plugin (LDAP, PAM), over TLS with a verified server only: give --ca, too'
complete -c rdump -l case-sensitive -d 'Whether the filter looks at upper and lower case'
complete -c rdump -s d -l no-data -d 'Schema files only'
complete -c rdump -s m -l no-schemas -d 'Data files only'
complete -c rdump -s W -l no-views -d 'Leave out views; --no-views=false dumps them'
complete -c rdump -l no-sequences -d 'Leave out sequences'
complete -c rdump -l dump-empty-database -d 'Write a schema file for a database without tables, too'
complete -c rdump -l order-by-primary-key -d 'Sort rows by the primary key'
complete -c rdump -l complete-insert -d 'Name the columns in every INSERT'
complete -c rdump -l escape-backslash -d 'Escape special characters with backslashes; off for targets with NO_BACKSLASH_ESCAPES'
complete -c rdump -l no-header -d 'CSV without the line of column names'
complete -c rdump -l against-source -d 'rdump verify: read all rows again and compare them, too'
complete -c rdump -l resume -d 'Go on with an unfinished dump in the folder: tables that are whole are kept, the others are dumped anew'
complete -c rdump -l resume-chunks -d 'As --resume, and finished chunks of other tables are kept where the binlog shows that safe mode will make them exact'
complete -c rdump -l dumpling-bytes -d 'FLOAT with six digits, as Dumpling; else with all digits that make the same number again'
complete -c rdump -l portable -d 'Files that any MySQL or MariaDB client loads exactly (utf8mb4, UTC), with triggers, routines and events'
complete -c rdump -l block-ddl -d 'MySQL 8.0: LOCK INSTANCE FOR BACKUP, MariaDB 10.4: BACKUP STAGE BLOCK_DDL, to the end, so that no DDL spoils the dump'
complete -c rdump -l dry-run -d 'Say what would be dumped, its size, locks, missing privileges and binlog retention; lock and write nothing'
complete -c rdump -l help -d 'Print this text'
complete -c rdump -s V -l version -d 'Print the version'
