/*
 * The floor: WireGuard's generic netlink with nothing in between. One socket, 32 KiB reads, messages packed up to
 * the 64 KiB that a nest holds, a dump parsed into plain structs. What it leaves out is what a program that runs for
 * months cannot: checks of what the kernel says beyond lengths, threads, wiping of keys.
 *
 *   raw snapshot DEVICE TIMES
 *   raw apply DEVICE TIMES FILE...      the files in turn
 *
 * Prints for each time: nanoseconds, peers. bench/peers/records.ts says what is in a file.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ = 32 << 10, MESSAGE = (64 << 10) + 256, NEST = 65535, RECORD = 80 };
enum { REMOVE = 1, UPDATE_ONLY = 4, ENDPOINT = 8, PRESHARED = 16, KEEPALIVE = 32 };

struct record {
  uint8_t key[32], preshared[32], flags, prefix_length;
  uint16_t keepalive, port, unused;
  uint8_t endpoint[4], allowed[4];
};
_Static_assert(sizeof(struct record) == RECORD, "as in records.ts");

struct allowed_ip {
  uint16_t family;
  uint8_t length, address[16];
};

struct peer {
  uint8_t key[32], preshared[32];
  union {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } endpoint;
  uint16_t keepalive;
  int64_t handshake[2];
  uint64_t rx, tx;
  size_t first_allowed, allowed;
};

struct device {
  uint8_t key[32];
  uint32_t ifindex, fwmark;
  uint16_t port;
  struct peer *peers;
  size_t count, room;
  struct allowed_ip *allowed;
  size_t allowed_count, allowed_room;
};

static int sock;
static uint16_t family;
static uint32_t sequence;
static uint8_t reading[READ] __attribute__((aligned(8)));
static uint8_t writing[MESSAGE] __attribute__((aligned(8)));

static void die(const char *what) {
  fprintf(stderr, "raw: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static uint8_t *put(uint8_t *at, uint16_t type, const void *value, size_t size) {
  const struct nlattr head = {(uint16_t)(NLA_HDRLEN + size), type};
  memcpy(at, &head, sizeof head);
  memcpy(at + NLA_HDRLEN, value, size);
  return at + NLA_ALIGN(NLA_HDRLEN + size);
}

static void close_nest(uint8_t *nest, const uint8_t *end, uint16_t type) {
  const struct nlattr head = {(uint16_t)(end - nest), (uint16_t)(type | NLA_F_NESTED)};
  memcpy(nest, &head, sizeof head);
}

static uint8_t *begin(uint16_t type, uint16_t flags, uint8_t command, uint8_t version) {
  struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = ++sequence};
  const struct genlmsghdr generic = {.cmd = command, .version = version};
  memcpy(writing, &head, sizeof head);
  memcpy(writing + NLMSG_HDRLEN, &generic, sizeof generic);
  return writing + NLMSG_HDRLEN + GENL_HDRLEN;
}

static void transmit(const uint8_t *end) {
  const uint32_t length = (uint32_t)(end - writing);
  memcpy(writing, &length, sizeof length);
  const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(sock, writing, length, 0, (const struct sockaddr *)&kernel, sizeof kernel) < 0) die("send");
}

static size_t receive(void) {
  const ssize_t size = recv(sock, reading, sizeof reading, 0);
  if (size < 0) die("receive");
  return (size_t)size;
}

/* Calls DO for each attribute in [at, end). */
#define EACH(attribute, at, end, DO)                                                                        \
  for (const uint8_t *attribute = (at); attribute + NLA_HDRLEN <= (end);) {                                 \
    const struct nlattr *head_ = (const struct nlattr *)attribute;                                          \
    if (head_->nla_len < NLA_HDRLEN || head_->nla_len > (end) - attribute) { errno = EBADMSG; die("attribute"); } \
    const uint16_t type = head_->nla_type & NLA_TYPE_MASK, size = (uint16_t)(head_->nla_len - NLA_HDRLEN);  \
    const uint8_t *value = attribute + NLA_HDRLEN;                                                          \
    (void)size;                                                                                             \
    (void)value;                                                                                            \
    DO attribute += NLA_ALIGN(head_->nla_len);                                                              \
  }

static void acknowledged(const struct nlmsghdr *head) {
  if (head->nlmsg_type != NLMSG_ERROR) return;
  errno = -*(const int *)NLMSG_DATA(head);
  if (errno != 0) die("kernel");
}

static void find_family(void) {
  transmit(put(begin(GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, 1), CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME, sizeof WG_GENL_NAME));
  const size_t size = receive();
  const struct nlmsghdr *head = (const struct nlmsghdr *)reading;
  acknowledged(head);
  EACH(attribute, reading + NLMSG_HDRLEN + GENL_HDRLEN, reading + size, {
    if (type == CTRL_ATTR_FAMILY_ID) memcpy(&family, value, sizeof family);
  })
}

static void parse_allowed(struct device *device, struct peer *peer, const uint8_t *at, const uint8_t *end) {
  EACH(item, at, end, {
    if (device->allowed_count == device->allowed_room) {
      device->allowed_room = device->allowed_room == 0 ? 1024 : device->allowed_room * 2;
      device->allowed = realloc(device->allowed, device->allowed_room * sizeof *device->allowed);
    }
    struct allowed_ip *allowed = &device->allowed[device->allowed_count++];
    memset(allowed, 0, sizeof *allowed);
    const uint8_t *inner = value;
    EACH(field, inner, inner + size, {
      if (type == WGALLOWEDIP_A_FAMILY) memcpy(&allowed->family, value, 2);
      if (type == WGALLOWEDIP_A_CIDR_MASK) allowed->length = *value;
      if (type == WGALLOWEDIP_A_IPADDR) memcpy(allowed->address, value, size <= 16 ? size : 16);
    })
    peer->allowed++;
  })
}

static void parse_peer(struct device *device, const uint8_t *at, const uint8_t *end) {
  struct peer *peer = NULL;
  EACH(attribute, at, end, {
    if (type == WGPEER_A_PUBLIC_KEY) {
      if (device->count > 0 && memcmp(device->peers[device->count - 1].key, value, 32) == 0) {
        peer = &device->peers[device->count - 1];
      } else {
        if (device->count == device->room) {
          device->room = device->room == 0 ? 256 : device->room * 2;
          device->peers = realloc(device->peers, device->room * sizeof *device->peers);
        }
        peer = &device->peers[device->count++];
        memset(peer, 0, sizeof *peer);
        memcpy(peer->key, value, 32);
        peer->first_allowed = device->allowed_count;
      }
    } else if (peer != NULL) {
      switch (type) {
        case WGPEER_A_PRESHARED_KEY: memcpy(peer->preshared, value, 32); break;
        case WGPEER_A_ENDPOINT: memcpy(&peer->endpoint, value, size <= sizeof peer->endpoint ? size : sizeof peer->endpoint); break;
        case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: memcpy(&peer->keepalive, value, 2); break;
        case WGPEER_A_LAST_HANDSHAKE_TIME: memcpy(peer->handshake, value, 16); break;
        case WGPEER_A_RX_BYTES: memcpy(&peer->rx, value, 8); break;
        case WGPEER_A_TX_BYTES: memcpy(&peer->tx, value, 8); break;
        case WGPEER_A_ALLOWEDIPS: parse_allowed(device, peer, value, value + size); break;
      }
    }
  })
}

static void parse_device(struct device *device, const uint8_t *at, const uint8_t *end) {
  EACH(attribute, at, end, {
    switch (type) {
      case WGDEVICE_A_PUBLIC_KEY: memcpy(device->key, value, 32); break;
      case WGDEVICE_A_IFINDEX: memcpy(&device->ifindex, value, 4); break;
      case WGDEVICE_A_FWMARK: memcpy(&device->fwmark, value, 4); break;
      case WGDEVICE_A_LISTEN_PORT: memcpy(&device->port, value, 2); break;
      case WGDEVICE_A_PEERS: {
        const uint8_t *inner = value;
        EACH(item, inner, inner + size, { parse_peer(device, value, value + size); })
        break;
      }
    }
  })
}

static void snapshot(const char *name, struct device *device) {
  memset(device, 0, sizeof *device);
  transmit(put(begin(family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION), WGDEVICE_A_IFNAME, name, strlen(name) + 1));
  for (;;) {
    const uint8_t *end = reading + receive();
    for (const uint8_t *at = reading; at < end;) {
      const struct nlmsghdr *head = (const struct nlmsghdr *)at;
      if (head->nlmsg_type == NLMSG_DONE) return;
      acknowledged(head);
      parse_device(device, at + NLMSG_HDRLEN + GENL_HDRLEN, at + head->nlmsg_len);
      at += NLMSG_ALIGN(head->nlmsg_len);
    }
  }
}

static uint8_t *put_peer(uint8_t *at, const struct record *record) {
  uint8_t *nest = at;
  at = put(at + NLA_HDRLEN, WGPEER_A_PUBLIC_KEY, record->key, 32);
  const uint32_t flags = ((record->flags & REMOVE) ? WGPEER_F_REMOVE_ME : 0) |
                         ((record->flags & UPDATE_ONLY) ? WGPEER_F_UPDATE_ONLY : 0);
  at = put(at, WGPEER_A_FLAGS, &flags, sizeof flags);
  if (record->flags & PRESHARED) at = put(at, WGPEER_A_PRESHARED_KEY, record->preshared, 32);
  if (record->flags & ENDPOINT) {
    struct sockaddr_in endpoint = {.sin_family = AF_INET, .sin_port = htons(record->port)};
    memcpy(&endpoint.sin_addr, record->endpoint, 4);
    at = put(at, WGPEER_A_ENDPOINT, &endpoint, sizeof endpoint);
  }
  if (record->flags & KEEPALIVE) at = put(at, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &record->keepalive, 2);
  if (record->prefix_length > 0) {
    const uint16_t inet = AF_INET;
    uint8_t *list = at, *item = at + NLA_HDRLEN;
    at = put(item + NLA_HDRLEN, WGALLOWEDIP_A_FAMILY, &inet, sizeof inet);
    at = put(at, WGALLOWEDIP_A_IPADDR, record->allowed, 4);
    at = put(at, WGALLOWEDIP_A_CIDR_MASK, &record->prefix_length, 1);
    close_nest(item, at, 0);
    close_nest(list, at, WGPEER_A_ALLOWEDIPS);
  }
  close_nest(nest, at, 0);
  return at;
}

static void apply(const char *name, const struct record *records, size_t count) {
  /* No record takes more. */
  enum { LARGEST = 256 };
  for (size_t next = 0; next < count;) {
    uint8_t *nest = put(begin(family, NLM_F_ACK, WG_CMD_SET_DEVICE, WG_GENL_VERSION), WGDEVICE_A_IFNAME, name, strlen(name) + 1);
    uint8_t *at = nest + NLA_HDRLEN;
    while (next < count && at - nest + LARGEST <= NEST) at = put_peer(at, &records[next++]);
    close_nest(nest, at, WGDEVICE_A_PEERS);
    transmit(at);
    receive();
    acknowledged((const struct nlmsghdr *)reading);
  }
}

struct file {
  struct record *records;
  size_t count;
};

static struct file load(const char *path) {
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) die(path);
  fseek(stream, 0, SEEK_END);
  struct file file = {.count = (size_t)ftell(stream) / RECORD};
  rewind(stream);
  file.records = malloc(file.count * RECORD + 1);
  if (fread(file.records, RECORD, file.count, stream) != file.count) die(path);
  fclose(stream);
  return file;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const char *name = argv[2];
  const int times = atoi(argv[3]);
  sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
  if (sock < 0) die("socket");
  const int room = 4 << 20;
  setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  find_family();
  struct file files[2] = {0};
  const int given = argc - 4 < 2 ? argc - 4 : 2;
  for (int index = 0; index < given; index++) files[index] = load(argv[4 + index]);
  for (int time = 0; time < times; time++) {
    struct device device;
    const struct file *file = given > 0 ? &files[time % given] : NULL;
    const int64_t start = now();
    if (file == NULL) snapshot(name, &device);
    else apply(name, file->records, file->count);
    const int64_t end = now();
    printf("%lld %zu\n", (long long)(end - start), file == NULL ? device.count : file->count);
    if (file == NULL) {
      free(device.peers);
      free(device.allowed);
    }
  }
  return 0;
}
