#ifndef ATOLL_DTLS_CALLS_H
#define ATOLL_DTLS_CALLS_H
#include "dtls.h"

/* module.c: marks the externals that are contexts. */
extern const napi_type_tag context_tag;
napi_value refuse(napi_env env, const char *what);
dtls_env *get_env(napi_env env);
bool get_bytes(napi_env env, napi_value value, const uint8_t **bytes, size_t *length);

/* calls.c */
void define_calls(napi_env env, napi_value exports);
#endif
