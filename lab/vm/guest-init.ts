/**
 * What runs in the guest before the command: two short shell scripts. The kernel's command line names, at the
 * host's paths, the job (a shell script), the modules' directory, the writable shared folder, and folders that
 * must be seen although the guest has file systems of its own above them.
 */

/** Where the guest has empty file systems of its own. */
export const GUEST_OWN = ['/run', '/tmp', '/dev/shm'] as const;

/** Virtio ports, by name, between guest and host. */
export const PORTS = { out: 'corax.out', err: 'corax.err', control: 'corax.control' } as const;

/** First stage, in the initramfs: the host's root read-only over 9p below a tmpfs overlay. */
export const INIT = `#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $bb insmod $module || echo "insmod $module failed"; done
options=trans=virtio,version=9p2000.L,msize=512000
$bb mount -t 9p -o $options,cache=loose,ro host0 /host || echo 'no 9p root'
$bb mount -t tmpfs -o size=75% tmpfs /rw
$bb mkdir -p /rw/up /rw/work
$bb mount -t overlay -o lowerdir=/host,upperdir=/rw/up,workdir=/rw/work overlay /root || echo 'no overlay'
$bb mount --move /dev /root/dev
$bb mount --move /proc /root/proc
for dir in ${GUEST_OWN.join(' ')}; do
  $bb mkdir -p /root$dir
  $bb mount -t tmpfs tmpfs /root$dir
done
$bb chmod 1777 /root/tmp /root/dev/shm
for word in $($bb cat /root/proc/cmdline); do
  case $word in
    corax.job=*) $bb cp /host/\${word#*=} /root/run/job ;;
    corax.see=*) $bb mkdir -p /root\${word#*=} && $bb mount --bind /host\${word#*=} /root\${word#*=} ;;
  esac
done
$bb cp /second-stage /root/run/second-stage
exec $bb switch_root /root /bin/sh /run/second-stage
`;

/** Second stage, on the overlay: what a started machine has, then the job; its exit code goes to the control port. */
export const SECOND_STAGE = `#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
for word in $(cat /proc/cmdline); do
  case $word in
    corax.shared=*) shared=\${word#*=} ;;
    corax.modules=*) modules=\${word#*=} ;;
    corax.net=*) net=\${word#*=} ;;
  esac
done
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /run/netns
mount -t devpts devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
if [ -n "$shared" ]; then
  mkdir -p "$shared"
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap shared "$shared"
fi
mkdir -p /lib/modules/$(uname -r)
mount --bind "$modules" /lib/modules/$(uname -r)
for port in /sys/class/virtio-ports/*; do
  case $(cat $port/name) in
    ${PORTS.out}) out=/dev/\${port##*/} ;;
    ${PORTS.err}) err=/dev/\${port##*/} ;;
    ${PORTS.control}) control=/dev/\${port##*/} ;;
  esac
done
exec 9>$control
echo 'hello' >&9
ip link set lo up
hostname corax-lab
if [ -n "$net" ]; then
  modprobe virtio_net
  ip address add 10.0.2.15/24 dev eth0
  ip link set eth0 up
  ip route add default via 10.0.2.2
fi
# Through a fifo, because a port can be opened only once and programs open /dev/stdout.
mkfifo /run/out /run/err
cat /run/out >$out &
outcat=$!
cat /run/err >$err &
errcat=$!
setsid sh /run/job </dev/null >/run/out 2>/run/err 9>&- &
wait $!
code=$?
# The ports close when the last writer is gone; what the job left running does not hold up the end.
(sleep 2; kill $outcat $errcat) 9>&- &
wait $outcat $errcat
echo "exit $code" >&9
sync
echo o >/proc/sysrq-trigger
sleep 60
`;
