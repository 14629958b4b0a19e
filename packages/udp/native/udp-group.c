/* Many UDP sockets with one set of rings: what a relay needs, which has a socket for each of its clients.
 *
 * All sockets of a group wait in one epoll descriptor; one call into JavaScript brings the datagrams of several of them, and
 * one call back sends what came of it. Data is not copied: what is forwarded is sent from the slot that it was received in.
 *
 * The JavaScript side (src/native-group.ts) owns the rings. Layout of the metadata, in 32-bit words:
 *   received, 9 words a slot: socket, length, port, family (4 or 6), scope, address (IPv4: one word in host order, else 16 bytes)
 *   to send, 12 words a slot: socket, ring (0 received, 1 own), offset, length, flags, port, family, scope, address (as above)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Of the functions and the rings, so that one built before a change is not used after it. */
#define LAYOUT 2
#define RECEIVE_SLOTS 256
#define RECEIVE_WORDS 9
#define HEADROOM_BYTES 64
#define SLOT_BYTES (65536 + HEADROOM_BYTES)
#define SEND_SLOTS 1024
#define SEND_WORDS 12
#define FLAG_DONT_FRAGMENT 1
/* Datagrams of one socket in a batch, so that a busy one leaves room for the others. */
#define PER_SOCKET 64
#define EVENTS 256
/* Batches taken in one turn of the event loop, so that timers and other handles get their turn too. */
#define BATCHES_PER_TURN 4
/* Kernel's bound of segments (UDP_MAX_SEGMENTS), and of the bytes of one send. */
#define MAX_SEGMENTS 64
#define MAX_SEGMENTED_BYTES 65000
/* Larger datagrams may not fit one packet of the path, where segmentation is refused. */
#define MAX_SEGMENT_BYTES 1432

enum { EVENT_RECEIVED = 0, EVENT_UNREACHABLE = 1 };

typedef struct {
  int fd;
  int family;
  bool wants_errors;
  bool no_segments;
  /* Another process has the socket too: closing it here does not take it out of the epoll descriptor. */
  bool is_shared;
  int first;
  int last;
} member;

typedef struct {
  uv_poll_t poll;
  napi_env env;
  napi_ref handler; /* function(event, count) */
  napi_ref keep;    /* the rings: an array that holds them alive */
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  int epoll;
  bool closing;
  member *members;
  int member_count;
  /* No member below it is free. */
  int first_free;
  uint8_t *receive_ring;
  uint32_t *receive_meta;
  uint8_t *send_ring;
  size_t send_ring_bytes;
  uint32_t *send_meta;
  struct mmsghdr receive_headers[PER_SOCKET];
  struct iovec receive_vectors[PER_SOCKET];
  struct sockaddr_storage receive_names[PER_SOCKET];
  struct mmsghdr send_headers[SEND_SLOTS];
  struct iovec send_vectors[SEND_SLOTS];
  struct sockaddr_storage send_names[SEND_SLOTS];
  int active[SEND_SLOTS];
  int next[SEND_SLOTS];
  char controls[SEND_SLOTS][CMSG_SPACE(sizeof(uint16_t))];
  struct epoll_event events[EVENTS];
} group;

static void throw_errno(napi_env env, int error) { napi_throw_error(env, uv_err_name(-error), strerror(error)); }

static void on_closed(uv_handle_t *handle) {
  group *g = handle->data;
  for (int i = 0; i < g->member_count; i++)
    if (g->members[i].fd >= 0) close(g->members[i].fd);
  close(g->epoll);
  if (g->cleanup != NULL) napi_remove_async_cleanup_hook(g->cleanup);
  free(g->members);
  free(g);
}

static void begin_close(group *g) {
  if (g->closing) return;
  g->closing = true;
  uv_poll_stop(&g->poll);
  napi_delete_reference(g->env, g->handler);
  napi_delete_reference(g->env, g->keep);
  napi_async_destroy(g->env, g->context);
  uv_close((uv_handle_t *)&g->poll, on_closed);
}

static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  begin_close(data);
}

static void emit(group *g, int event, int count) {
  napi_env env = g->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value handler, global, arguments[2], result;
  if (napi_get_reference_value(env, g->handler, &handler) == napi_ok && napi_get_global(env, &global) == napi_ok &&
      napi_create_int32(env, event, &arguments[0]) == napi_ok && napi_create_int32(env, count, &arguments[1]) == napi_ok) {
    napi_status status = napi_make_callback(env, g->context, global, handler, 2, arguments, &result);
    if (status == napi_pending_exception) {
      napi_value error;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
  }
  napi_close_handle_scope(env, scope);
}

static void describe(uint32_t *meta, const struct sockaddr_storage *name) {
  if (name->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
    meta[0] = ntohs(v4->sin_port);
    meta[1] = 4;
    meta[2] = 0;
    meta[3] = ntohl(v4->sin_addr.s_addr);
  } else {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
    meta[0] = ntohs(v6->sin6_port);
    meta[1] = 6;
    meta[2] = v6->sin6_scope_id;
    memcpy(meta + 3, &v6->sin6_addr, 16);
  }
}

/* Reads ICMP errors from a socket's error queue; slot 0 tells: socket, type << 16 | code, port, family, scope, address;
 * the first word of slot 1 has the data of the ICMP message. */
static void take_errors(group *g, int id) {
  for (int i = 0; i < 8; i++) {
    if (g->closing || g->members[id].fd < 0) return;
    char control[256];
    struct sockaddr_storage name;
    struct msghdr header = {.msg_name = &name, .msg_namelen = sizeof name, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(g->members[id].fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = CMSG_NXTHDR(&header, c)) {
      bool is_error = (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) || (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR);
      if (!is_error) continue;
      struct sock_extended_err error;
      memcpy(&error, CMSG_DATA(c), sizeof error);
      if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6) continue;
      g->receive_meta[0] = (uint32_t)id;
      g->receive_meta[1] = ((uint32_t)error.ee_type << 16) | error.ee_code;
      describe(g->receive_meta + 2, &name);
      g->receive_meta[RECEIVE_WORDS] = error.ee_info;
      emit(g, EVENT_UNREACHABLE, 1);
    }
  }
}

static int receive_some(group *g, int id, int used) {
  int room = RECEIVE_SLOTS - used;
  if (room > PER_SOCKET) room = PER_SOCKET;
  for (int i = 0; i < room; i++) {
    g->receive_vectors[i].iov_base = g->receive_ring + (size_t)(used + i) * SLOT_BYTES + HEADROOM_BYTES;
    g->receive_headers[i].msg_hdr.msg_namelen = sizeof(g->receive_names[i]);
  }
  int count = recvmmsg(g->members[id].fd, g->receive_headers, (unsigned)room, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    uint32_t *meta = g->receive_meta + (used + i) * RECEIVE_WORDS;
    meta[0] = (uint32_t)id;
    meta[1] = g->receive_headers[i].msg_len;
    describe(meta + 2, &g->receive_names[i]);
  }
  return count > 0 ? count : 0;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  group *g = poll->data;
  (void)events;
  if (status < 0) return;
  for (int batch = 0; batch < BATCHES_PER_TURN && !g->closing; batch++) {
    int ready = epoll_wait(g->epoll, g->events, EVENTS, 0);
    if (ready <= 0) return;
    int used = 0;
    for (int i = 0; i < ready && !g->closing; i++) {
      int id = (int)g->events[i].data.u32;
      if (g->members[id].fd < 0) continue;
      if (g->events[i].events & EPOLLERR && g->members[id].wants_errors) {
        if (used > 0) emit(g, EVENT_RECEIVED, used);
        used = 0;
        take_errors(g, id);
        if (g->closing || g->members[id].fd < 0) continue;
      }
      used += receive_some(g, id, used);
      if (used == RECEIVE_SLOTS) {
        emit(g, EVENT_RECEIVED, used);
        used = 0;
      }
    }
    if (used > 0 && !g->closing) emit(g, EVENT_RECEIVED, used);
    if (ready < EVENTS && used < PER_SOCKET) return;
  }
}

static bool get_memory(napi_env env, napi_value value, size_t least, void **data, size_t *length) {
  bool is_buffer = false;
  if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer) return false;
  return napi_get_buffer_info(env, value, data, length) == napi_ok && *length >= least && ((uintptr_t)*data & 3) == 0;
}

static group *get_group(napi_env env, napi_value value) {
  napi_valuetype type;
  void *data = NULL;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external || napi_get_value_external(env, value, &data) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "not a group");
    return NULL;
  }
  return data;
}

/* create(receiveRing, receiveMeta, sendRing, sendMeta, handler) */
static napi_value create_group(napi_env env, napi_callback_info info) {
  size_t argc = 5;
  napi_value argv[5];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  void *rings[4];
  size_t lengths[4];
  napi_valuetype type;
  if (argc != 5 || !get_memory(env, argv[0], (size_t)RECEIVE_SLOTS * SLOT_BYTES, &rings[0], &lengths[0]) ||
      !get_memory(env, argv[1], RECEIVE_SLOTS * RECEIVE_WORDS * 4, &rings[1], &lengths[1]) ||
      !get_memory(env, argv[2], 65536, &rings[2], &lengths[2]) ||
      !get_memory(env, argv[3], SEND_SLOTS * SEND_WORDS * 4, &rings[3], &lengths[3]) ||
      napi_typeof(env, argv[4], &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "create: wrong arguments");
    return NULL;
  }
  group *g = calloc(1, sizeof *g);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  uv_loop_t *loop = NULL;
  if (g == NULL || epoll < 0 || napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &g->poll, epoll) != 0) {
    free(g);
    if (epoll >= 0) close(epoll);
    throw_errno(env, ENOMEM);
    return NULL;
  }
  g->poll.data = g;
  g->env = env;
  g->epoll = epoll;
  g->receive_ring = rings[0];
  g->receive_meta = rings[1];
  g->send_ring = rings[2];
  g->send_ring_bytes = lengths[2];
  g->send_meta = rings[3];
  for (int i = 0; i < PER_SOCKET; i++) {
    g->receive_vectors[i].iov_len = SLOT_BYTES - HEADROOM_BYTES;
    g->receive_headers[i].msg_hdr.msg_iov = &g->receive_vectors[i];
    g->receive_headers[i].msg_hdr.msg_iovlen = 1;
    g->receive_headers[i].msg_hdr.msg_name = &g->receive_names[i];
  }
  napi_value keep, name, external;
  napi_create_array_with_length(env, 4, &keep);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, keep, i, argv[i]);
  napi_create_reference(env, keep, 1, &g->keep);
  napi_create_reference(env, argv[4], 1, &g->handler);
  napi_create_string_utf8(env, "atoll:udp-group", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &g->context);
  napi_add_async_cleanup_hook(env, on_cleanup, g, &g->cleanup);
  uv_poll_start(&g->poll, UV_READABLE, on_poll);
  napi_create_external(env, g, NULL, NULL, &external);
  return external;
}

/* Makes and binds a socket; returns its descriptor, or -errno. */
static int bound_socket(int family, int type, const char *address, int port, bool reuse_port, int buffer_bytes) {
  struct sockaddr_storage name;
  socklen_t length;
  memset(&name, 0, sizeof name);
  int valid;
  int one = 1;
  if (family == 4) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&name;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    valid = inet_pton(AF_INET, address, &v4->sin_addr);
    length = sizeof *v4;
  } else {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&name;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    valid = inet_pton(AF_INET6, address, &v6->sin6_addr);
    length = sizeof *v6;
  }
  if (valid != 1) return -EADDRNOTAVAIL;
  int fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (family == 6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (buffer_bytes > 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  }
  if (bind(fd, (struct sockaddr *)&name, length) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

static void set_fragmentation(const member *m, bool forbidden) {
  int mode = forbidden ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
  if (m->family == 4) setsockopt(m->fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);
  else {
    mode = forbidden ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT;
    setsockopt(m->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, sizeof mode);
  }
}

/* open(group, family, address, port, reusePort, bufferBytes, wantsErrors, descriptor): id of the socket; its address stands in
 * slot 0. A descriptor other than -1 is that of a socket which is bound already. */
static napi_value open_member(napi_env env, napi_callback_info info) {
  size_t argc = 8;
  napi_value argv[8];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  group *g = argc == 8 ? get_group(env, argv[0]) : NULL;
  if (g == NULL || g->closing) return NULL;
  int32_t family = 0, port = 0, buffer_bytes = 0, given = -1;
  bool reuse_port = false, wants_errors = false;
  char address[64];
  size_t length;
  if (napi_get_value_int32(env, argv[1], &family) != napi_ok || (family != 4 && family != 6) ||
      napi_get_value_string_utf8(env, argv[2], address, sizeof address, &length) != napi_ok ||
      napi_get_value_int32(env, argv[3], &port) != napi_ok || port < 0 || port > 65535 ||
      napi_get_value_bool(env, argv[4], &reuse_port) != napi_ok || napi_get_value_int32(env, argv[5], &buffer_bytes) != napi_ok ||
      napi_get_value_bool(env, argv[6], &wants_errors) != napi_ok || napi_get_value_int32(env, argv[7], &given) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "open: wrong arguments");
    return NULL;
  }
  int id = g->first_free;
  while (id < g->member_count && g->members[id].fd >= 0) id++;
  if (id == g->member_count) {
    int count = g->member_count == 0 ? 16 : 2 * g->member_count;
    member *members = realloc(g->members, (size_t)count * sizeof *members);
    if (members == NULL) {
      throw_errno(env, ENOMEM);
      return NULL;
    }
    for (int i = g->member_count; i < count; i++) members[i].fd = -1;
    g->members = members;
    g->member_count = count;
  }
  int fd = given >= 0 ? given : bound_socket(family, SOCK_DGRAM, address, port, reuse_port, buffer_bytes);
  if (fd < 0) {
    throw_errno(env, -fd);
    return NULL;
  }
  int one = 1;
  if (wants_errors) {
    if (family == 4) setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof one);
    else setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof one);
  }
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)id};
  if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    int error = errno;
    close(fd);
    throw_errno(env, error);
    return NULL;
  }
  g->first_free = id + 1;
  g->members[id] = (member){.fd = fd, .family = family, .wants_errors = wants_errors, .no_segments = false, .is_shared = given >= 0, .first = -1, .last = -1};
  set_fragmentation(&g->members[id], false);
  struct sockaddr_storage name;
  socklen_t name_length = sizeof name;
  getsockname(fd, (struct sockaddr *)&name, &name_length);
  describe(g->receive_meta + 2, &name);
  napi_value result;
  napi_create_int32(env, id, &result);
  return result;
}

static napi_value close_member(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  group *g = argc == 2 ? get_group(env, argv[0]) : NULL;
  int32_t id = -1;
  if (g == NULL || g->closing || napi_get_value_int32(env, argv[1], &id) != napi_ok) return NULL;
  if (id < 0 || id >= g->member_count || g->members[id].fd < 0) return NULL;
  if (g->members[id].is_shared) epoll_ctl(g->epoll, EPOLL_CTL_DEL, g->members[id].fd, NULL);
  close(g->members[id].fd);
  g->members[id].fd = -1;
  if (id < g->first_free) g->first_free = id;
  return NULL;
}

static bool same_name(const struct msghdr *a, const struct msghdr *b) {
  return a->msg_namelen == b->msg_namelen && memcmp(a->msg_name, b->msg_name, a->msg_namelen) == 0;
}

static void set_name(group *g, int at, const uint32_t *meta) {
  struct msghdr *header = &g->send_headers[at].msg_hdr;
  header->msg_name = &g->send_names[at];
  if (meta[6] == 4) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&g->send_names[at];
    memset(v4, 0, sizeof *v4);
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)meta[5]);
    v4->sin_addr.s_addr = htonl(meta[8]);
    header->msg_namelen = sizeof *v4;
  } else {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&g->send_names[at];
    memset(v6, 0, sizeof *v6);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)meta[5]);
    v6->sin6_scope_id = meta[7];
    memcpy(&v6->sin6_addr, meta + 8, 16);
    header->msg_namelen = sizeof *v6;
  }
}

/* Datagrams of one socket, in order, in headers [0, count): neighbors with the same destination and size leave as one. */
static int merge_segments(group *g, member *m, int count) {
  if (m->no_segments) return count;
  int out = 0;
  for (int i = 0; i < count;) {
    struct msghdr *header = &g->send_headers[i].msg_hdr;
    size_t size = header->msg_iov->iov_len;
    size_t total = size;
    int end = i + 1;
    if (size > 0 && size <= MAX_SEGMENT_BYTES) {
      while (end < count && end - i < MAX_SEGMENTS) {
        const struct msghdr *next = &g->send_headers[end].msg_hdr;
        size_t next_size = next->msg_iov->iov_len;
        if (next_size == 0 || next_size > size || total + next_size > MAX_SEGMENTED_BYTES || !same_name(header, next)) break;
        total += next_size;
        end++;
        if (next_size < size) break;
      }
    }
    struct mmsghdr merged = g->send_headers[i];
    if (end - i > 1) {
      merged.msg_hdr.msg_iovlen = (size_t)(end - i);
      merged.msg_hdr.msg_control = g->controls[out];
      merged.msg_hdr.msg_controllen = sizeof g->controls[out];
      struct cmsghdr *control = (struct cmsghdr *)g->controls[out];
      control->cmsg_level = SOL_UDP;
      control->cmsg_type = UDP_SEGMENT;
      control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      uint16_t segment = (uint16_t)size;
      memcpy(CMSG_DATA(control), &segment, sizeof segment);
    }
    g->send_headers[out++] = merged;
    i = end;
  }
  return out;
}

/* Sends headers [0, count); returns the datagrams that did not leave. */
static int send_all(group *g, member *m, int count) {
  int lost = 0;
  for (int at = 0; at < count;) {
    int sent = sendmmsg(m->fd, g->send_headers + at, (unsigned)(count - at), MSG_DONTWAIT);
    if (sent > 0) {
      at += sent;
      continue;
    }
    if (errno == EINTR) continue;
    struct msghdr *header = &g->send_headers[at].msg_hdr;
    int segments = (int)header->msg_iovlen;
    if (segments > 1 && (errno == EINVAL || errno == EIO || errno == EMSGSIZE || errno == ENOTSUP || errno == EOPNOTSUPP)) {
      /* This path takes no segments: one by one, from now on. */
      m->no_segments = errno != EMSGSIZE && errno != EINVAL ? true : m->no_segments;
      for (int i = 0; i < segments; i++) {
        struct msghdr single = {.msg_name = header->msg_name, .msg_namelen = header->msg_namelen, .msg_iov = header->msg_iov + i, .msg_iovlen = 1};
        if (sendmsg(m->fd, &single, MSG_DONTWAIT) < 0) lost++;
      }
    } else if (m->wants_errors && errno != EAGAIN && errno != ENOBUFS && errno != EMSGSIZE) {
      /* An error of an earlier datagram was reported and is taken by that: the datagram itself was not tried. */
      struct msghdr again = *header;
      if (sendmsg(m->fd, &again, MSG_DONTWAIT) < 0) lost += segments;
    } else lost += segments;
    at++;
  }
  return lost;
}

/* flush(group, count): sends slots [0, count); returns how many datagrams did not leave. */
static napi_value flush(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  group *g = argc == 2 ? get_group(env, argv[0]) : NULL;
  int32_t count = 0;
  if (g == NULL || g->closing || napi_get_value_int32(env, argv[1], &count) != napi_ok || count < 0 || count > SEND_SLOTS) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "flush: wrong arguments");
    return NULL;
  }
  /* Chains of slots by socket; the sockets in the order of their first slot. */
  int sockets = 0;
  int lost = 0;
  for (int i = 0; i < count; i++) {
    uint32_t id = g->send_meta[i * SEND_WORDS];
    if (id >= (uint32_t)g->member_count || g->members[id].fd < 0) {
      lost++;
      continue;
    }
    member *m = &g->members[id];
    g->next[i] = -1;
    if (m->first < 0) {
      m->first = i;
      g->active[sockets++] = (int)id;
    } else g->next[m->last] = i;
    m->last = i;
  }
  const size_t receive_bytes = (size_t)RECEIVE_SLOTS * SLOT_BYTES;
  for (int s = 0; s < sockets; s++) {
    member *m = &g->members[g->active[s]];
    int slot = m->first;
    m->first = -1;
    while (slot >= 0) {
      int filled = 0;
      bool forbidden = (g->send_meta[slot * SEND_WORDS + 4] & FLAG_DONT_FRAGMENT) != 0;
      for (; slot >= 0; slot = g->next[slot]) {
        const uint32_t *meta = g->send_meta + slot * SEND_WORDS;
        if (((meta[4] & FLAG_DONT_FRAGMENT) != 0) != forbidden) break;
        size_t limit = meta[1] == 0 ? receive_bytes : g->send_ring_bytes;
        if ((size_t)meta[2] + meta[3] > limit) {
          lost++;
          continue;
        }
        g->send_vectors[filled].iov_base = (meta[1] == 0 ? g->receive_ring : g->send_ring) + meta[2];
        g->send_vectors[filled].iov_len = meta[3];
        struct msghdr *header = &g->send_headers[filled].msg_hdr;
        memset(header, 0, sizeof *header);
        header->msg_iov = &g->send_vectors[filled];
        header->msg_iovlen = 1;
        set_name(g, filled, meta);
        filled++;
      }
      if (forbidden) set_fragmentation(m, true);
      lost += send_all(g, m, forbidden ? filled : merge_segments(g, m, filled));
      if (forbidden) set_fragmentation(m, false);
    }
  }
  napi_value result;
  napi_create_int32(env, lost, &result);
  return result;
}

static napi_value close_group(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  group *g = argc == 1 ? get_group(env, argv[0]) : NULL;
  if (g != NULL) begin_close(g);
  return NULL;
}

/* bind(isStream, family, address, port, reusePort, bufferBytes): descriptor of a bound socket. */
static napi_value bind_descriptor(napi_env env, napi_callback_info info) {
  size_t argc = 6;
  napi_value argv[6];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  int32_t family = 0, port = 0, buffer_bytes = 0;
  bool is_stream = false, reuse_port = false;
  char address[64];
  size_t length;
  if (argc != 6 || napi_get_value_bool(env, argv[0], &is_stream) != napi_ok ||
      napi_get_value_int32(env, argv[1], &family) != napi_ok || (family != 4 && family != 6) ||
      napi_get_value_string_utf8(env, argv[2], address, sizeof address, &length) != napi_ok ||
      napi_get_value_int32(env, argv[3], &port) != napi_ok || port < 0 || port > 65535 ||
      napi_get_value_bool(env, argv[4], &reuse_port) != napi_ok || napi_get_value_int32(env, argv[5], &buffer_bytes) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "bind: wrong arguments");
    return NULL;
  }
  int fd = bound_socket(family, is_stream ? SOCK_STREAM : SOCK_DGRAM, address, port, reuse_port, buffer_bytes);
  if (fd < 0) {
    throw_errno(env, -fd);
    return NULL;
  }
  napi_value result;
  napi_create_int32(env, fd, &result);
  return result;
}

/* Lets the kernel choose among `count` listeners of a port by the client's address alone, so that all connections of a client
 * come to the same one. Returns 0 or errno. */
static int choose_by_address(int fd, int family, uint32_t count) {
  const uint32_t source = (uint32_t)SKF_NET_OFF + (family == 4 ? 12 : 8);
  struct sock_filter code[16];
  unsigned short length = 0;
  code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, source);
  for (uint32_t word = 1; family == 6 && word < 4; word++) {
    code[length++] = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, source + 4 * word);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0);
  }
  code[length++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
  struct sock_fprog program = {.len = length, .filter = code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) < 0 ? errno : 0;
}

/* listen(descriptor, family, backlog, sharers): begins to listen; with sharers above 1 they are chosen by the client's address. */
static napi_value listen_descriptor(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  int32_t values[4];
  for (size_t i = 0; i < 4; i++) {
    if (argc != 4 || napi_get_value_int32(env, argv[i], &values[i]) != napi_ok) {
      napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "listen: wrong arguments");
      return NULL;
    }
  }
  int error = listen(values[0], values[2]) < 0 ? errno : 0;
  if (error == 0 && values[3] > 1) error = choose_by_address(values[0], values[1], (uint32_t)values[3]);
  if (error != 0) throw_errno(env, error);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value layout;
  napi_create_int32(env, LAYOUT, &layout);
  napi_property_descriptor properties[] = {
      {"create", NULL, create_group, NULL, NULL, NULL, napi_enumerable, NULL},
      {"open", NULL, open_member, NULL, NULL, NULL, napi_enumerable, NULL},
      {"closeSocket", NULL, close_member, NULL, NULL, NULL, napi_enumerable, NULL},
      {"flush", NULL, flush, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_group, NULL, NULL, NULL, napi_enumerable, NULL},
      {"bind", NULL, bind_descriptor, NULL, NULL, NULL, napi_enumerable, NULL},
      {"listen", NULL, listen_descriptor, NULL, NULL, NULL, napi_enumerable, NULL},
      {"layout", NULL, NULL, NULL, NULL, layout, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof properties / sizeof *properties, properties);
  return exports;
}
