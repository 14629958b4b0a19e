/* Batched UDP for Node: many datagrams in one system call, through rings of memory shared with JavaScript.
 *
 * The JavaScript side (src/native-socket.ts) owns the rings. Layout of the metadata, in 32-bit words:
 *   received, 9 words a slot: length, port, family (4 or 6), scope, address (IPv4: one word in host order, else 16 bytes),
 *             length of each datagram in the slot (the last may be shorter)
 *   to send,  9 words a slot: offset, length, port, family, scope, address (as above)
 *
 * Datagrams of one length to one peer that follow each other travel through the kernel as one (UDP_SEGMENT, UDP_GRO) and
 * arrive as what they are: the cost of a datagram is mostly the way through the kernel.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* Of the rings; changes with every change of what JavaScript has to know, which compares it. */
#define LAYOUT 3
#define RECEIVE_SLOTS 64
#define RECEIVE_WORDS 9
#define SLOT_BYTES 65536
#define SEND_SLOTS 512
#define SEND_WORDS 9
/* Of one run of datagrams: the kernel's own limits, with room for headers. */
#define RUN_DATAGRAMS 64
#define RUN_BYTES 60000
/* Batches taken in one turn of the event loop, so that timers and other sockets get their turn too. */
#define BATCHES_PER_TURN 4

typedef struct {
  uv_poll_t poll;
  napi_env env;
  napi_ref handler;   /* function(event, count) */
  napi_ref keep;      /* the rings: an array that holds them alive */
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  int fd;
  bool closing;
  bool wants_writable;
  uint8_t *receive_ring;
  uint32_t *receive_meta;
  uint8_t *send_ring;
  size_t send_ring_bytes;
  uint32_t *send_meta;
  /* Datagrams up to this length go out in runs; less once the kernel refused one (no checksums, a small MTU). */
  uint32_t run_limit;
  union {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
  } receive_controls[RECEIVE_SLOTS], send_controls[SEND_SLOTS];
  /* The first slot of each message under way, and behind the last one where they end. */
  int run_starts[SEND_SLOTS + 1];
  struct mmsghdr receive_headers[RECEIVE_SLOTS];
  struct iovec receive_vectors[RECEIVE_SLOTS];
  struct sockaddr_storage receive_names[RECEIVE_SLOTS];
  struct mmsghdr send_headers[SEND_SLOTS];
  struct iovec send_vectors[SEND_SLOTS];
  struct sockaddr_storage send_names[SEND_SLOTS];
} udp_socket;

enum { EVENT_RECEIVED = 0, EVENT_WRITABLE = 1, EVENT_FAILED = 2 };

static void throw_errno(napi_env env, int error) { napi_throw_error(env, uv_err_name(-error), strerror(error)); }

static void on_closed(uv_handle_t *handle) {
  udp_socket *s = handle->data;
  if (s->fd >= 0) close(s->fd);
  if (s->cleanup != NULL) napi_remove_async_cleanup_hook(s->cleanup);
  free(s);
}

/* Stops everything; the memory is freed once libuv lets the handle go. */
static void begin_close(udp_socket *s) {
  if (s->closing) return;
  s->closing = true;
  uv_poll_stop(&s->poll);
  napi_delete_reference(s->env, s->handler);
  napi_delete_reference(s->env, s->keep);
  napi_async_destroy(s->env, s->context);
  uv_close((uv_handle_t *)&s->poll, on_closed);
}

static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  begin_close(data);
}

static void emit(udp_socket *s, int event, int count) {
  napi_env env = s->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value handler, global, arguments[2], result;
  if (napi_get_reference_value(env, s->handler, &handler) == napi_ok && napi_get_global(env, &global) == napi_ok &&
      napi_create_int32(env, event, &arguments[0]) == napi_ok && napi_create_int32(env, count, &arguments[1]) == napi_ok) {
    napi_status status = napi_make_callback(env, s->context, global, handler, 2, arguments, &result);
    if (status == napi_pending_exception) {
      napi_value error;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
  }
  napi_close_handle_scope(env, scope);
}

static void describe(udp_socket *s, int slot) {
  uint32_t *meta = s->receive_meta + slot * RECEIVE_WORDS;
  const struct sockaddr_storage *name = &s->receive_names[slot];
  meta[0] = meta[8] = s->receive_headers[slot].msg_len;
  struct msghdr *header = &s->receive_headers[slot].msg_hdr;
  for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO) continue;
    int length;
    memcpy(&length, CMSG_DATA(control), sizeof length);
    if (length > 0) meta[8] = (uint32_t)length;
  }
  if (name->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
    meta[1] = ntohs(v4->sin_port);
    meta[2] = 4;
    meta[3] = 0;
    meta[4] = ntohl(v4->sin_addr.s_addr);
  } else {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
    meta[1] = ntohs(v6->sin6_port);
    meta[2] = 6;
    meta[3] = v6->sin6_scope_id;
    memcpy(meta + 4, &v6->sin6_addr, 16);
  }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  udp_socket *s = poll->data;
  if (status < 0) {
    emit(s, EVENT_FAILED, -status);
    return;
  }
  if (events & UV_WRITABLE && !s->closing) {
    s->wants_writable = false;
    uv_poll_start(&s->poll, UV_READABLE, on_poll);
    emit(s, EVENT_WRITABLE, 0);
  }
  if (!(events & UV_READABLE)) return;
  for (int batch = 0; batch < BATCHES_PER_TURN && !s->closing; batch++) {
    for (int i = 0; i < RECEIVE_SLOTS; i++) {
      s->receive_headers[i].msg_hdr.msg_namelen = sizeof(s->receive_names[i]);
      s->receive_headers[i].msg_hdr.msg_controllen = sizeof s->receive_controls[i].bytes;
    }
    int count = recvmmsg(s->fd, s->receive_headers, RECEIVE_SLOTS, MSG_DONTWAIT, NULL);
    if (count <= 0) {
      if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) emit(s, EVENT_FAILED, errno);
      return;
    }
    for (int i = 0; i < count; i++) describe(s, i);
    emit(s, EVENT_RECEIVED, count);
    if (count < RECEIVE_SLOTS) return;
  }
}

static bool get_memory(napi_env env, napi_value value, size_t least, void **data, size_t *length) {
  bool is_buffer = false;
  if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer) return false;
  return napi_get_buffer_info(env, value, data, length) == napi_ok && *length >= least && ((uintptr_t)*data & 3) == 0;
}

static int bind_socket(int family, const char *address, uint16_t port, bool reuse_port, int receive_bytes, int send_bytes,
                       int *out) {
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int one = 1;
  struct sockaddr_storage name;
  socklen_t name_length;
  memset(&name, 0, sizeof name);
  int valid;
  if (family == AF_INET) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&name;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    valid = inet_pton(AF_INET, address, &v4->sin_addr);
    name_length = sizeof *v4;
  } else {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&name;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    valid = inet_pton(AF_INET6, address, &v6->sin6_addr);
    name_length = sizeof *v6;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  }
  int error = 0;
  if (valid != 1) error = EADDRNOTAVAIL;
  if (!error && reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0) error = errno;
  if (receive_bytes > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  if (send_bytes > 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
  if (!error && bind(fd, (struct sockaddr *)&name, name_length) < 0) error = errno;
  if (error) {
    close(fd);
    return error;
  }
  *out = fd;
  return 0;
}

static void prepare(udp_socket *s) {
  for (int i = 0; i < RECEIVE_SLOTS; i++) {
    s->receive_vectors[i].iov_base = s->receive_ring + (size_t)i * SLOT_BYTES;
    s->receive_vectors[i].iov_len = SLOT_BYTES;
    s->receive_headers[i].msg_hdr.msg_iov = &s->receive_vectors[i];
    s->receive_headers[i].msg_hdr.msg_iovlen = 1;
    s->receive_headers[i].msg_hdr.msg_name = &s->receive_names[i];
    s->receive_headers[i].msg_hdr.msg_control = s->receive_controls[i].bytes;
  }
  for (int i = 0; i < SEND_SLOTS; i++) {
    s->send_headers[i].msg_hdr.msg_iov = &s->send_vectors[i];
    s->send_headers[i].msg_hdr.msg_iovlen = 1;
    s->send_headers[i].msg_hdr.msg_name = &s->send_names[i];
  }
}

/* open(family, address, port, reusePort, receiveBytes, sendBytes, receiveRing, receiveMeta, sendRing, sendMeta, handler,
 * descriptor): a descriptor other than -1 is that of a socket which is bound already. */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  size_t argc = 12;
  napi_value argv[12];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  int32_t family = 0, port = 0, receive_bytes = 0, send_bytes = 0, fd = -1;
  bool reuse_port = false;
  char address[64];
  size_t address_length;
  void *rings[4];
  size_t lengths[4];
  napi_valuetype type;
  if (argc != 12 || napi_get_value_int32(env, argv[0], &family) != napi_ok || (family != 4 && family != 6) ||
      napi_get_value_string_utf8(env, argv[1], address, sizeof address, &address_length) != napi_ok ||
      napi_get_value_int32(env, argv[2], &port) != napi_ok || port < 0 || port > 65535 ||
      napi_get_value_bool(env, argv[3], &reuse_port) != napi_ok ||
      napi_get_value_int32(env, argv[4], &receive_bytes) != napi_ok ||
      napi_get_value_int32(env, argv[5], &send_bytes) != napi_ok ||
      !get_memory(env, argv[6], (size_t)RECEIVE_SLOTS * SLOT_BYTES, &rings[0], &lengths[0]) ||
      !get_memory(env, argv[7], RECEIVE_SLOTS * RECEIVE_WORDS * 4, &rings[1], &lengths[1]) ||
      !get_memory(env, argv[8], 65536, &rings[2], &lengths[2]) ||
      !get_memory(env, argv[9], SEND_SLOTS * SEND_WORDS * 4, &rings[3], &lengths[3]) ||
      napi_typeof(env, argv[10], &type) != napi_ok || type != napi_function ||
      napi_get_value_int32(env, argv[11], &fd) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "open: wrong arguments");
    return NULL;
  }
  if (fd < 0) {
    int error = bind_socket(family == 4 ? AF_INET : AF_INET6, address, (uint16_t)port, reuse_port, receive_bytes, send_bytes, &fd);
    if (error) {
      throw_errno(env, error);
      return NULL;
    }
  }
  /* A kernel without it gives datagrams one by one. */
  int one = 1;
  setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
  udp_socket *s = calloc(1, sizeof *s);
  uv_loop_t *loop = NULL;
  if (s == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &s->poll, fd) != 0) {
    free(s);
    close(fd);
    throw_errno(env, ENOMEM);
    return NULL;
  }
  s->poll.data = s;
  s->env = env;
  s->fd = fd;
  s->receive_ring = rings[0];
  s->receive_meta = rings[1];
  s->send_ring = rings[2];
  s->send_ring_bytes = lengths[2];
  s->send_meta = rings[3];
  s->run_limit = RUN_BYTES;
  prepare(s);
  napi_value keep, name, external;
  napi_create_array_with_length(env, 4, &keep);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, keep, i, argv[6 + i]);
  napi_create_reference(env, keep, 1, &s->keep);
  napi_create_reference(env, argv[10], 1, &s->handler);
  napi_create_string_utf8(env, "atoll:udp", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &s->context);
  napi_add_async_cleanup_hook(env, on_cleanup, s, &s->cleanup);
  uv_poll_start(&s->poll, UV_READABLE, on_poll);
  napi_create_external(env, s, NULL, NULL, &external);
  return external;
}

static udp_socket *get_socket(napi_env env, napi_value value) {
  napi_valuetype type;
  void *data = NULL;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external || napi_get_value_external(env, value, &data) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "not a socket");
    return NULL;
  }
  return data;
}

static void set_peer(udp_socket *s, int message, const uint32_t *meta) {
  struct msghdr *header = &s->send_headers[message].msg_hdr;
  if (meta[3] == 4) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&s->send_names[message];
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)meta[2]);
    v4->sin_addr.s_addr = htonl(meta[5]);
    header->msg_namelen = sizeof *v4;
  } else {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s->send_names[message];
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)meta[2]);
    v6->sin6_flowinfo = 0;
    v6->sin6_scope_id = meta[4];
    memcpy(&v6->sin6_addr, meta + 5, 16);
    header->msg_namelen = sizeof *v6;
  }
}

/* Where the run of datagrams that begins at a slot ends: one peer, one length (the last may be shorter), one behind the
 * other in the ring. */
static int end_of_run(const udp_socket *s, int slot, int end) {
  const uint32_t *first = s->send_meta + slot * SEND_WORDS;
  const uint32_t length = first[1];
  if (length == 0 || length > s->run_limit) return slot + 1;
  size_t peer_words = first[3] == 4 ? 4 : 7;
  uint32_t bytes = length;
  int last = slot;
  while (last + 1 < end && last + 1 - slot < RUN_DATAGRAMS) {
    const uint32_t *next = s->send_meta + (last + 1) * SEND_WORDS;
    if (next[0] != first[0] + bytes || next[1] == 0 || next[1] > length || bytes + next[1] > RUN_BYTES) break;
    if (memcmp(next + 2, first + 2, peer_words * 4) != 0) break;
    bytes += next[1];
    last++;
    if (next[1] < length) break;
  }
  return last + 1;
}

/* Makes one message of each run; slots before `single_until` go alone. Returns the number of messages. */
static int make_messages(udp_socket *s, int start, int end, int single_until) {
  int count = 0;
  for (int slot = start; slot < end; count++) {
    const uint32_t *meta = s->send_meta + slot * SEND_WORDS;
    struct msghdr *header = &s->send_headers[count].msg_hdr;
    int next = slot < single_until ? slot + 1 : end_of_run(s, slot, end);
    set_peer(s, count, meta);
    s->run_starts[count] = slot;
    s->send_vectors[count].iov_base = s->send_ring + meta[0];
    s->send_vectors[count].iov_len = meta[1];
    header->msg_control = NULL;
    header->msg_controllen = 0;
    if (next > slot + 1) {
      const uint32_t *last = s->send_meta + (next - 1) * SEND_WORDS;
      s->send_vectors[count].iov_len = last[0] + last[1] - meta[0];
      header->msg_control = s->send_controls[count].bytes;
      header->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
      struct cmsghdr *control = CMSG_FIRSTHDR(header);
      control->cmsg_level = IPPROTO_UDP;
      control->cmsg_type = UDP_SEGMENT;
      control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      uint16_t length = (uint16_t)meta[1];
      memcpy(CMSG_DATA(control), &length, sizeof length);
    }
    slot = next;
  }
  s->run_starts[count] = end;
  return count;
}

/* flush(socket, start, end): sends slots, returns [next slot, errno]; errno 0 when all are sent. The caller never passes a
 * closed socket: the JavaScript side drops its handle when it closes. */
static napi_value flush(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  int32_t start = 0, end = 0;
  udp_socket *s = argc >= 3 ? get_socket(env, argv[0]) : NULL;
  if (s == NULL || s->closing || napi_get_value_int32(env, argv[1], &start) != napi_ok ||
      napi_get_value_int32(env, argv[2], &end) != napi_ok || start < 0 || end > SEND_SLOTS || start > end) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "flush: wrong arguments");
    return NULL;
  }
  for (int i = start; i < end; i++) {
    const uint32_t *meta = s->send_meta + i * SEND_WORDS;
    if ((size_t)meta[0] + meta[1] > s->send_ring_bytes) {
      napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "flush: outside the ring");
      return NULL;
    }
  }
  int error = 0;
  int count = make_messages(s, start, end, start);
  for (int at = 0; at < count;) {
    int sent = sendmmsg(s->fd, s->send_headers + at, (unsigned)(count - at), MSG_DONTWAIT);
    if (sent >= 0) {
      at += sent;
      start = s->run_starts[at];
      continue;
    }
    if (errno == EINTR) continue;
    error = errno;
    int run_end = s->run_starts[at + 1];
    if (run_end - start == 1 || error == EAGAIN || error == ENOBUFS) break;
    /* A run that cannot be sent: its datagrams go one by one, so that each has its own outcome. */
    if (error == EINVAL || error == EMSGSIZE || error == EIO) s->run_limit = s->send_meta[start * SEND_WORDS + 1] - 1;
    error = 0;
    count = make_messages(s, start, end, run_end);
    at = 0;
  }
  if ((error == EAGAIN || error == ENOBUFS) && !s->wants_writable) {
    s->wants_writable = true;
    uv_poll_start(&s->poll, UV_READABLE | UV_WRITABLE, on_poll);
  }
  napi_value result;
  /* One number, so that nothing is allocated: the slot in the low 16 bits, the error above. */
  napi_create_int32(env, start | (error << 16), &result);
  return result;
}

static napi_value close_socket(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  udp_socket *s = argc == 1 ? get_socket(env, argv[0]) : NULL;
  if (s != NULL) begin_close(s);
  return NULL;
}

/* local(socket, meta): writes port, family and address of the bound socket as in a receive slot. */
static napi_value local(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  udp_socket *s = argc == 1 ? get_socket(env, argv[0]) : NULL;
  if (s == NULL || s->closing) return NULL;
  socklen_t length = sizeof(s->receive_names[0]);
  if (getsockname(s->fd, (struct sockaddr *)&s->receive_names[0], &length) < 0) {
    throw_errno(env, errno);
    return NULL;
  }
  s->receive_headers[0].msg_len = 0;
  describe(s, 0);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value layout;
  napi_create_int32(env, LAYOUT, &layout);
  napi_property_descriptor properties[] = {
      {"open", NULL, open_socket, NULL, NULL, NULL, napi_enumerable, NULL},
      {"flush", NULL, flush, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_socket, NULL, NULL, NULL, napi_enumerable, NULL},
      {"local", NULL, local, NULL, NULL, NULL, napi_enumerable, NULL},
      {"layout", NULL, NULL, NULL, NULL, layout, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof properties / sizeof *properties, properties);
  return exports;
}
