#!/usr/bin/env bash
# First process of a bed (see bed.py), started by `unshare` in mount, network and pid namespaces of its own: gives
# itself a root file system, then runs Docker's engine in it. Nothing of it outlives this process.
# usage: inside.sh ROOT_FILE_SYSTEM SCRATCH REPOSITORY CGROUP disk|memory
set -euo pipefail
root_file_system=$1 scratch=$2 repository=$3 cgroup=$4 kept_in=$5

mount --make-rprivate /
# In memory, what was written need not be removed file by file.
[ "$kept_in" = disk ] || mount -t tmpfs -o size=80% tmpfs "$scratch"
mkdir "$scratch"/{clean,root,source,docker}

# A view of a folder that can be written to; what is written stays in the scratch folder.
over() { # NAME FOLDER
  mkdir "$scratch"/"$1"-{upper,work}
  mkdir -p "$scratch/clean/$1"
  # By way of a mount, since an option of overlayfs cannot hold every path.
  mount --bind "$2" "$scratch/clean/$1"
  mount -t overlay overlay "$scratch/$1" \
    -o "lowerdir=$scratch/clean/$1,upperdir=$scratch/$1-upper,workdir=$scratch/$1-work"
}
over root "$root_file_system"
over source "$repository"

cd "$scratch/root"
mkdir -p source var/lib/docker old
mount --bind "$scratch/source" source
mount --bind "$scratch/docker" var/lib/docker
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
pivot_root . old
cd /
umount --lazy /old
ip link set lo up

# One group counts as one process among those of this machine; these containers are eight and more.
if mkdir "/sys/fs/cgroup/cpu/$cgroup" 2>/dev/null; then
  echo 8192 >"/sys/fs/cgroup/cpu/$cgroup/cpu.shares"
fi

dockerd --log-level warn --data-root /var/lib/docker --exec-opt native.cgroupdriver=cgroupfs \
  --cgroup-parent "/$cgroup" &
wait $!
