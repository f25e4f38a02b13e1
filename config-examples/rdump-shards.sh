#!/bin/sh
# Step 1 of a merge of sharded servers: every source is dumped into folders of its own under one parent, which rlightning
# then imports in one run. Each folder's `metadata` and `rdump-manifest.jsonl` hold the positions for `rsync-dm ctl meta-from`.
# The password comes from $MYSQL_PWD.
set -eu
PARENT=${1:?usage: rdump-shards.sh FOLDER}
dump() { # name host port database filter...
    name=$1 host=$2 port=$3 database=$4
    shift 4
    rdump -h "$host" -P "$port" -u dump -t 16 -r 200000 -F 256MiB -B "$database" "$@" \
        --status-addr '' -L "$PARENT/$name.log" -o "$PARENT/$name"
}
mkdir -p "$PARENT"
dump source1-my_db1 127.0.0.1 3306 my_db1 -f 'my_db1.table[12]'
dump source1-my_db2 127.0.0.1 3306 my_db2
dump source2-my_db1 127.0.0.1 3307 my_db1 -f 'my_db1.table[12]'
dump source2-my_db2 127.0.0.1 3307 my_db2
