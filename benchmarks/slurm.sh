#!/usr/bin/env bash
# A comparison on a Slurm of one machine, which is started for it and stopped afterwards; needs root, and on Debian
#
#   apt-get install slurm-wlm munge && pip install -e ".[cluster]" dask-jobqueue
#   benchmarks/slurm.sh OPTIONS OF THE BENCHMARK
#
# Each of two jobs of Slurm is a process of Dask with one core, which does runs; see docs/cluster.md.
set -euo pipefail

place=$(mktemp -d)
export SLURM_CONF=$place/slurm.conf
stop() {
    [ -z "${cluster:-}" ] || kill "$cluster" 2> /dev/null || true
    scancel --user root 2> /dev/null || true
    sleep 2
    for daemon in slurmd slurmctld munged; do [ ! -f "$place/$daemon.pid" ] || kill "$(cat "$place/$daemon.pid")" || true; done
    sleep 1
    rm -rf "$place"
}
trap stop EXIT

node=$(hostname -s)
cat > "$SLURM_CONF" << END
ClusterName=one
SlurmctldHost=$node
AuthInfo=socket=$place/munge.socket
SlurmUser=root
SlurmdUser=root
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
NodeName=$node CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE State=UP
END
echo "CgroupPlugin=cgroup/v1" > "$place/cgroup.conf" # the other one needs systemd
mkdir "$place/state" "$place/spool"
dd if=/dev/urandom bs=1024 count=1 of="$place/munge.key" 2> /dev/null
chmod 400 "$place/munge.key"
chmod 755 "$place"
munged --key-file="$place/munge.key" --socket="$place/munge.socket" --pid-file="$place/munged.pid" \
    --log-file="$place/munged.log" --seed-file="$place/munge.seed" --force
slurmctld
slurmd
sinfo

cat > "$place/cluster.py" << 'END'
import sys
import time

from dask_jobqueue import SLURMCluster

cluster = SLURMCluster(cores=1, processes=1, memory="8GB", job_mem="0", walltime="01:00:00", log_directory=sys.argv[1])
cluster.scale(2)
print(cluster.scheduler_address, flush=True)
while True:
    time.sleep(1)
END
python "$place/cluster.py" "$place" > "$place/address" &
cluster=$!
until [ -s "$place/address" ]; do sleep 1; done
python -m onehead_avl.benchmark --scheduler "$(cat "$place/address")" "$@" &
benchmark=$!
while kill -0 $benchmark 2> /dev/null; do
    squeue --noheader --format "%i %T %M" >> "$place/jobs"
    sleep 2
done
wait $benchmark
echo "jobs of Slurm that did the runs: $(cut -d' ' -f1 "$place/jobs" | sort -u | wc -l)"
