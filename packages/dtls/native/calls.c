/* What JavaScript does with sessions. They are numbers there, so that a stale one is refused instead of followed. */
#include "calls.h"
#include <openssl/x509.h>
#include <stdlib.h>

#define SLOT_BITS 20
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define MAX_KEYING_BYTES 4096

static napi_value number(napi_env env, uint32_t value) {
  napi_value result;
  napi_create_uint32(env, value, &result);
  return result;
}

static dtls_session *find_session(napi_env napi, dtls_env *env, napi_value value) {
  uint32_t id = 0;
  if (napi_get_value_uint32(napi, value, &id) != napi_ok) return NULL;
  uint32_t slot = id & SLOT_MASK;
  if (slot >= env->slot_count || env->generations[slot] != id >> SLOT_BITS) return NULL;
  return env->slots[slot];
}

static uint32_t register_session(dtls_env *env, dtls_session *session) {
  if (env->free_count == 0) {
    uint32_t count = env->slot_count == 0 ? 64 : 2 * env->slot_count;
    if (count > SLOT_MASK + 1) return 0;
    dtls_session **slots = realloc(env->slots, count * sizeof *slots);
    if (slots == NULL) return 0;
    env->slots = slots;
    uint16_t *generations = realloc(env->generations, count * sizeof *generations);
    if (generations == NULL) return 0;
    env->generations = generations;
    uint32_t *free_slots = realloc(env->free_slots, count * sizeof *free_slots);
    if (free_slots == NULL) return 0;
    env->free_slots = free_slots;
    for (uint32_t slot = count; slot-- > env->slot_count;) {
      slots[slot] = NULL;
      generations[slot] = 1;
      free_slots[env->free_count++] = slot;
    }
    env->slot_count = count;
  }
  uint32_t slot = env->free_slots[--env->free_count];
  env->slots[slot] = session;
  return (uint32_t)env->generations[slot] << SLOT_BITS | slot;
}

static void unregister_session(dtls_env *env, uint32_t id) {
  uint32_t slot = id & SLOT_MASK;
  session_free(env->slots[slot]);
  env->slots[slot] = NULL;
  env->generations[slot] = (env->generations[slot] + 1) & 0xfff;
  if (env->generations[slot] == 0) env->generations[slot] = 1;
  env->free_slots[env->free_count++] = slot;
}

static bool begin(napi_env napi, dtls_env *env, napi_value at) {
  uint32_t offset = 0;
  if (env == NULL || env->arena == NULL || napi_get_value_uint32(napi, at, &offset) != napi_ok || offset > env->arena_bytes)
    return false;
  env->at = offset;
  env->entries = 0;
  return true;
}

static napi_value finish(napi_env napi, dtls_env *env, uint32_t flags) { return number(napi, flags | env->entries << 8); }

static dtls_context *find_context(napi_env env, napi_value value) {
  napi_valuetype type;
  bool is_context = false;
  void *data = NULL;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external ||
      napi_check_object_type_tag(env, value, &context_tag, &is_context) != napi_ok || !is_context)
    return NULL;
  napi_get_value_external(env, value, &data);
  return data;
}

/* open(context, isServer, mtu, serverName): the number of a new session, which does nothing yet. */
static napi_value open_session(napi_env napi, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_context *context;
  bool is_server = false;
  int32_t mtu = 0;
  char name[256];
  size_t length = 0;
  if (env == NULL || argc != 4 || (context = find_context(napi, argv[0])) == NULL ||
      napi_get_value_bool(napi, argv[1], &is_server) != napi_ok || napi_get_value_int32(napi, argv[2], &mtu) != napi_ok ||
      napi_get_value_string_utf8(napi, argv[3], name, sizeof name, &length) != napi_ok)
    return refuse(napi, "open: wrong arguments");
  dtls_session *session = session_new(context, is_server, mtu, length == 0 ? NULL : name);
  uint32_t id = session == NULL ? 0 : register_session(env, session);
  if (id == 0) {
    if (session != NULL) session_free(session);
    napi_throw_error(napi, "DTLS_MEMORY", "there is no memory for another session");
    return NULL;
  }
  return number(napi, id);
}

/* listen(context, mtu, bytes, cookieKey, cookieSecrets, at): answers a ClientHello without a cookie with a
 * HelloVerifyRequest; one with a good cookie makes a session, whose number stands in the metadata. */
static napi_value listen_hello(napi_env napi, napi_callback_info info) {
  size_t argc = 6;
  napi_value argv[6];
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_context *context;
  int32_t mtu = 0;
  const uint8_t *bytes, *key, *secrets;
  size_t length, key_length, secrets_length;
  if (argc != 6 || !begin(napi, env, argv[5]) || (context = find_context(napi, argv[0])) == NULL ||
      napi_get_value_int32(napi, argv[1], &mtu) != napi_ok || !get_bytes(napi, argv[2], &bytes, &length) ||
      !get_bytes(napi, argv[3], &key, &key_length) || !get_bytes(napi, argv[4], &secrets, &secrets_length) ||
      secrets_length != 2 * SECRET_BYTES)
    return refuse(napi, "listen: wrong arguments");
  if (context->next == NULL) {
    context->next = session_new(context, true, mtu, NULL);
    if (context->next == NULL) return finish(napi, env, FLAG_FAILED);
  }
  context->next->cookie_key = key;
  context->next->cookie_key_length = key_length;
  context->next->cookie_secrets = secrets;
  if (session_listen(context, bytes, length) != 1) return finish(napi, env, 0);
  dtls_session *session = context->next;
  context->next = NULL;
  uint32_t id = register_session(env, session);
  if (id == 0) {
    session_free(session);
    return finish(napi, env, FLAG_FAILED);
  }
  env->meta[META_SESSION] = id;
  return finish(napi, env, FLAG_ACCEPTED | session_accept(session));
}

/* start(session, at): a client's first flight. */
static napi_value start(napi_env napi, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  if (argc != 2 || !begin(napi, env, argv[1]) || (session = find_session(napi, env, argv[0])) == NULL)
    return refuse(napi, "start: no such session");
  return finish(napi, env, session_start(session));
}

/* receive(session, bytes, at) */
static napi_value receive(napi_env napi, napi_callback_info info) {
  size_t argc = 3, length;
  napi_value argv[3];
  const uint8_t *bytes;
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  if (argc != 3 || !begin(napi, env, argv[2]) || (session = find_session(napi, env, argv[0])) == NULL ||
      !get_bytes(napi, argv[1], &bytes, &length))
    return refuse(napi, "receive: no such session");
  return finish(napi, env, session_receive(session, bytes, length));
}

/* timeout(session, at): sends the last flight again if its time has come. */
static napi_value timeout(napi_env napi, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  if (argc != 2 || !begin(napi, env, argv[1]) || (session = find_session(napi, env, argv[0])) == NULL)
    return refuse(napi, "timeout: no such session");
  return finish(napi, env, session_timeout(session));
}

/* send(session, bytes, at): length of the one datagram that now lies at `at`, or 0. */
static napi_value send_record(napi_env napi, napi_callback_info info) {
  size_t argc = 3, length;
  napi_value argv[3];
  const uint8_t *bytes;
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  if (argc != 3 || !begin(napi, env, argv[2]) || (session = find_session(napi, env, argv[0])) == NULL ||
      !get_bytes(napi, argv[1], &bytes, &length))
    return refuse(napi, "send: no such session");
  size_t from = env->at;
  return number(napi, session_send(session, bytes, length) ? (uint32_t)(env->at - from) : 0);
}

/* close(session, at): says close_notify if it still can, and forgets the session. */
static napi_value close_session(napi_env napi, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  uint32_t id = 0;
  if (argc != 2 || !begin(napi, env, argv[1]) || (session = find_session(napi, env, argv[0])) == NULL)
    return refuse(napi, "close: no such session");
  session_close(session);
  napi_get_value_uint32(napi, argv[0], &id);
  unregister_session(env, id);
  return finish(napi, env, 0);
}

/* rest(session): gives the record buffers of a silent session back; OpenSSL takes new ones when it needs them. */
static napi_value rest(napi_env napi, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  if (argc != 1 || env == NULL || (session = find_session(napi, env, argv[0])) == NULL)
    return refuse(napi, "rest: no such session");
  return number(napi, session_rest(session) ? 1 : 0);
}

static napi_value failure(napi_env napi, napi_callback_info info) {
  (void)info;
  napi_value result;
  dtls_env *env = get_env(napi);
  napi_create_string_utf8(napi, env == NULL ? "" : env->failure, NAPI_AUTO_LENGTH, &result);
  return result;
}

static void set_text(napi_env env, napi_value object, const char *name, const char *text, size_t length) {
  napi_value value;
  if (text == NULL || napi_create_string_utf8(env, text, length, &value) != napi_ok) return;
  napi_set_named_property(env, object, name, value);
}

/* describe(session): what was agreed upon. */
static napi_value describe(napi_env napi, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], result;
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  if (argc != 1 || env == NULL || (session = find_session(napi, env, argv[0])) == NULL)
    return refuse(napi, "describe: no such session");
  const unsigned char *alpn = NULL;
  unsigned int alpn_length = 0;
  SSL_get0_alpn_selected(session->ssl, &alpn, &alpn_length);
  const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(session->ssl);
  napi_create_object(napi, &result);
  set_text(napi, result, "version", SSL_get_version(session->ssl), NAPI_AUTO_LENGTH);
  set_text(napi, result, "cipher", SSL_get_cipher_name(session->ssl), NAPI_AUTO_LENGTH);
  set_text(napi, result, "serverName", SSL_get_servername(session->ssl, TLSEXT_NAMETYPE_host_name), NAPI_AUTO_LENGTH);
  if (alpn != NULL) set_text(napi, result, "alpn", (const char *)alpn, alpn_length);
  if (profile != NULL) set_text(napi, result, "srtpProfile", profile->name, NAPI_AUTO_LENGTH);
  napi_value has_secret;
  napi_get_boolean(napi, SSL_get_extms_support(session->ssl) == 1, &has_secret);
  napi_set_named_property(napi, result, "hasExtendedMasterSecret", has_secret);
  return result;
}

static void push_certificate(napi_env env, napi_value list, X509 *certificate) {
  unsigned char *der = NULL;
  int length = i2d_X509(certificate, &der);
  napi_value buffer;
  uint32_t at = 0;
  napi_get_array_length(env, list, &at);
  if (length > 0 && napi_create_buffer_copy(env, (size_t)length, der, NULL, &buffer) == napi_ok)
    napi_set_element(env, list, at, buffer);
  OPENSSL_free(der);
}

/* peerCertificates(session): DER, the peer's own first. */
static napi_value peer_certificates(napi_env napi, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], result;
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  if (argc != 1 || env == NULL || (session = find_session(napi, env, argv[0])) == NULL)
    return refuse(napi, "peerCertificates: no such session");
  napi_create_array(napi, &result);
  X509 *own = SSL_get1_peer_certificate(session->ssl);
  STACK_OF(X509) *chain = SSL_get_peer_cert_chain(session->ssl);
  if (own != NULL) push_certificate(napi, result, own);
  /* A server sees the chain without the client's own certificate, a client sees it with the server's. */
  for (int i = 0; i < (chain == NULL ? 0 : sk_X509_num(chain)); i++) {
    X509 *certificate = sk_X509_value(chain, i);
    if (own == NULL || X509_cmp(own, certificate) != 0) push_certificate(napi, result, certificate);
  }
  X509_free(own);
  return result;
}

/* exportKeys(session, label, length, context | undefined) */
static napi_value export_keys(napi_env napi, napi_callback_info info) {
  size_t argc = 4, label_length = 0, seed_length = 0;
  napi_value argv[4], result;
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  dtls_session *session;
  char label[256];
  uint32_t length = 0;
  const uint8_t *seed = NULL;
  void *out = NULL;
  if (argc != 4 || env == NULL || (session = find_session(napi, env, argv[0])) == NULL ||
      napi_get_value_string_utf8(napi, argv[1], label, sizeof label, &label_length) != napi_ok ||
      napi_get_value_uint32(napi, argv[2], &length) != napi_ok || length == 0 || length > MAX_KEYING_BYTES)
    return refuse(napi, "exportKeys: wrong arguments");
  bool has_seed = get_bytes(napi, argv[3], &seed, &seed_length);
  if (!session->is_established || napi_create_buffer(napi, length, &out, &result) != napi_ok) return NULL;
  int done = SSL_export_keying_material(session->ssl, out, length, label, label_length, seed, seed_length, has_seed ? 1 : 0);
  ERR_clear_error();
  return done == 1 ? result : NULL;
}

void define_calls(napi_env env, napi_value exports) {
  napi_property_descriptor calls[] = {
      {"open", NULL, open_session, NULL, NULL, NULL, napi_enumerable, NULL},
      {"listen", NULL, listen_hello, NULL, NULL, NULL, napi_enumerable, NULL},
      {"start", NULL, start, NULL, NULL, NULL, napi_enumerable, NULL},
      {"receive", NULL, receive, NULL, NULL, NULL, napi_enumerable, NULL},
      {"timeout", NULL, timeout, NULL, NULL, NULL, napi_enumerable, NULL},
      {"send", NULL, send_record, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_session, NULL, NULL, NULL, napi_enumerable, NULL},
      {"rest", NULL, rest, NULL, NULL, NULL, napi_enumerable, NULL},
      {"failure", NULL, failure, NULL, NULL, NULL, napi_enumerable, NULL},
      {"describe", NULL, describe, NULL, NULL, NULL, napi_enumerable, NULL},
      {"peerCertificates", NULL, peer_certificates, NULL, NULL, NULL, napi_enumerable, NULL},
      {"exportKeys", NULL, export_keys, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof calls / sizeof *calls, calls);
}
