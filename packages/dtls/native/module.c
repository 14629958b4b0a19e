/* The face towards JavaScript (src/native.ts): the environment and its contexts. */
#include <stdlib.h>
#include <string.h>
#include "calls.h"

const napi_type_tag context_tag = {0x61746f6c6c2d6474ULL, 0x6c732d636f6e7478ULL};

void env_note_failure(dtls_env *env, const char *otherwise) {
  unsigned long error = ERR_peek_last_error();
  const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);
  snprintf(env->failure, sizeof env->failure, "%s", reason == NULL ? otherwise : reason);
  ERR_clear_error();
}

napi_value refuse(napi_env env, const char *what) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", what);
  return NULL;
}

dtls_env *get_env(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

bool get_bytes(napi_env env, napi_value value, const uint8_t **bytes, size_t *length) {
  bool is_buffer = false;
  void *data = NULL;
  if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer) return false;
  if (napi_get_buffer_info(env, value, &data, length) != napi_ok) return false;
  *bytes = data;
  return true;
}

/* Text of a property, newly allocated; NULL when there is none. */
static char *get_text(napi_env env, napi_value object, const char *name, size_t *length) {
  napi_value value;
  napi_valuetype type;
  size_t size = 0;
  if (napi_get_named_property(env, object, name, &value) != napi_ok || napi_typeof(env, value, &type) != napi_ok ||
      type != napi_string || napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok)
    return NULL;
  char *text = malloc(size + 1);
  if (text != NULL) napi_get_value_string_utf8(env, value, text, size + 1, &size);
  if (length != NULL) *length = size;
  return text;
}

static uint32_t get_uint32(napi_env env, napi_value object, const char *name) {
  napi_value value;
  uint32_t result = 0;
  if (napi_get_named_property(env, object, name, &value) == napi_ok) napi_get_value_uint32(env, value, &result);
  return result;
}

static bool get_flag(napi_env env, napi_value object, const char *name) {
  napi_value value;
  bool result = false;
  if (napi_get_named_property(env, object, name, &value) == napi_ok) napi_get_value_bool(env, value, &result);
  return result;
}

/* init(arena, meta) */
static napi_value init(napi_env napi, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  const uint8_t *arena, *meta;
  size_t arena_bytes, meta_bytes;
  if (env == NULL || env->arena != NULL || argc != 2 || !get_bytes(napi, argv[0], &arena, &arena_bytes) ||
      !get_bytes(napi, argv[1], &meta, &meta_bytes) || arena_bytes < 2 * MAX_RECORD_BYTES || meta_bytes < 256 ||
      ((uintptr_t)meta & 3) != 0)
    return refuse(napi, "init: wrong arguments");
  napi_value keep;
  napi_create_array_with_length(napi, 2, &keep);
  napi_set_element(napi, keep, 0, argv[0]);
  napi_set_element(napi, keep, 1, argv[1]);
  napi_create_reference(napi, keep, 1, &env->keep);
  env->arena = (uint8_t *)arena;
  env->arena_bytes = arena_bytes;
  env->meta = (uint32_t *)meta;
  env->max_entries = (uint32_t)(meta_bytes / 4 - META_ENTRIES) / 2;
  return NULL;
}

static void finalize_context(napi_env napi, void *data, void *hint) {
  (void)napi;
  (void)hint;
  dtls_context *context = data;
  dtls_session *next = context->next;
  context->next = NULL;
  if (next != NULL) session_free(next);
  context_release(context);
}

static bool add_certificates(napi_env napi, dtls_context *context, napi_value options) {
  napi_value list;
  uint32_t count = 0;
  if (napi_get_named_property(napi, options, "certificates", &list) != napi_ok ||
      napi_get_array_length(napi, list, &count) != napi_ok)
    return true;
  bool is_good = true;
  for (uint32_t i = 0; i < count && is_good; i++) {
    napi_value pair;
    size_t certificate_length = 0, key_length = 0;
    napi_get_element(napi, list, i, &pair);
    char *certificate = get_text(napi, pair, "certificate", &certificate_length);
    char *key = get_text(napi, pair, "privateKey", &key_length);
    context->passphrase = get_text(napi, pair, "passphrase", NULL);
    is_good = certificate != NULL && key != NULL &&
              context_add_certificate(context, certificate, certificate_length, key, key_length);
    if (context->passphrase != NULL) OPENSSL_cleanse(context->passphrase, strlen(context->passphrase));
    if (key != NULL) OPENSSL_cleanse(key, key_length);
    free(context->passphrase);
    context->passphrase = NULL;
    free(certificate);
    free(key);
  }
  return is_good;
}

static bool set_up(napi_env napi, dtls_context *context, napi_value options) {
  if (!add_certificates(napi, context, options)) return false;
  size_t length = 0;
  char *authorities = get_text(napi, options, "authorities", &length);
  bool is_good = authorities == NULL || context_set_authorities(context, authorities, length);
  context_set_verification(context, get_flag(napi, options, "requestsCertificate"),
                           get_flag(napi, options, "requiresCertificate"), authorities != NULL);
  free(authorities);
  char *profiles = get_text(napi, options, "srtpProfiles", NULL);
  if (profiles != NULL && SSL_CTX_set_tlsext_use_srtp(context->ssl_ctx, profiles) != 0) is_good = false;
  free(profiles);
  char *alpn = get_text(napi, options, "alpn", &length);
  if (alpn != NULL && !context_set_alpn(context, (unsigned char *)alpn, (unsigned int)length)) is_good = false;
  free(alpn);
  return is_good;
}

/* createContext(options): a context, or throws with the reason. */
static napi_value create_context(napi_env napi, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], external;
  napi_get_cb_info(napi, info, &argc, argv, NULL, NULL);
  dtls_env *env = get_env(napi);
  napi_valuetype type;
  if (env == NULL || argc != 1 || napi_typeof(napi, argv[0], &type) != napi_ok || type != napi_object)
    return refuse(napi, "createContext: wrong arguments");
  snprintf(env->failure, sizeof env->failure, "OpenSSL refuses the settings");
  ERR_clear_error();
  char *ciphers = get_text(napi, argv[0], "ciphers", NULL);
  char *groups = get_text(napi, argv[0], "groups", NULL);
  int min_version = get_flag(napi, argv[0], "allowsDtls10") ? DTLS1_VERSION : DTLS1_2_VERSION;
  dtls_context *context = ciphers == NULL || groups == NULL ? NULL : context_new(env, min_version, ciphers, groups);
  free(ciphers);
  free(groups);
  if (context != NULL) {
    context->retransmit_us = 1000 * get_uint32(napi, argv[0], "retransmitMs");
    if (!set_up(napi, context, argv[0])) {
      if (ERR_peek_error() != 0) env_note_failure(env, "OpenSSL refuses the settings");
      context_release(context);
      context = NULL;
    }
  }
  if (context == NULL) {
    napi_throw_error(napi, "DTLS_SETTINGS", env->failure);
    return NULL;
  }
  if (napi_create_external(napi, context, finalize_context, NULL, &external) != napi_ok) {
    context_release(context);
    return refuse(napi, "createContext: no memory");
  }
  napi_type_tag_object(napi, external, &context_tag);
  return external;
}

void env_release(dtls_env *env) {
  if (--env->references > 0) return;
  BIO_ADDR_free(env->no_address);
  BIO_meth_free(env->method);
  free(env);
}

static void end_env(napi_env napi, void *data, void *hint) {
  (void)hint;
  dtls_env *env = data;
  for (uint32_t slot = 0; slot < env->slot_count; slot++) {
    if (env->slots[slot] != NULL) session_free(env->slots[slot]);
  }
  if (env->keep != NULL) napi_delete_reference(napi, env->keep);
  free(env->slots);
  free(env->generations);
  free(env->free_slots);
  env->slots = NULL;
  env->slot_count = 0;
  env->arena = NULL;
  env_release(env);
}

NAPI_MODULE_INIT() {
  /* OpenSSL keeps its binary interface within a major version, towards newer minor versions. */
  unsigned long carried = OpenSSL_version_num();
  int major = (int)(carried >> 28), minor = (int)(carried >> 20 & 0xff), built_minor = OPENSSL_VERSION_MINOR;
  if (major != OPENSSL_VERSION_MAJOR || minor < built_minor) {
    char sentence[160];
    snprintf(sentence, sizeof sentence, "it was built for OpenSSL %d.%d and this Node carries %d.%d: npm rebuild",
             OPENSSL_VERSION_MAJOR, built_minor, major, minor);
    napi_throw_error(env, "DTLS_OPENSSL_VERSION", sentence);
    return NULL;
  }
  dtls_env *data = calloc(1, sizeof *data);
  if (data == NULL || (data->method = datagram_method_new()) == NULL || (data->no_address = BIO_ADDR_new()) == NULL) {
    if (data != NULL) BIO_meth_free(data->method);
    free(data);
    napi_throw_error(env, "DTLS_MEMORY", "there is no memory for it");
    return NULL;
  }
  data->references = 1;
  napi_set_instance_data(env, data, end_env, NULL);
  napi_property_descriptor own[] = {
      {"init", NULL, init, NULL, NULL, NULL, napi_enumerable, NULL},
      {"createContext", NULL, create_context, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof own / sizeof *own, own);
  define_calls(env, exports);
  return exports;
}
