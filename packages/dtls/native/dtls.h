/* DTLS on the OpenSSL that Node carries. No sockets and no clock of its own: datagrams go in and out through memory. */
#ifndef ATOLL_DTLS_H
#define ATOLL_DTLS_H
#include <node_api.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/* Words of the metadata before the entries: milliseconds until the retransmission, identifier of a new session. */
#define META_TIMER 0
#define META_SESSION 1
#define META_ENTRIES 2
/* What a call gives back: flags in the low byte, the number of entries above. */
#define FLAG_OPENED 1
#define FLAG_CLOSED 2
#define FLAG_FAILED 4
#define FLAG_TIMER 8
#define FLAG_ACCEPTED 16
#define ENTRY_PLAIN 1u
#define MAX_RECORD_BYTES 16384
#define SECRET_BYTES 32
/* A handshake that needs more than this from the peer is none. */
#define MAX_HANDSHAKE_BYTES 65536
/* Encrypted datagrams that OpenSSL may keep (each in a buffer of 17 kB) while the handshake is not through. */
#define MAX_EARLY_DATAGRAMS 16

typedef struct dtls_env dtls_env;
typedef struct dtls_session dtls_session;

typedef struct {
  dtls_env *env;
  SSL_CTX *ssl_ctx;
  /* Waits for a ClientHello with a valid cookie; then it becomes that client's session. */
  dtls_session *next;
  uint32_t references;
  uint32_t retransmit_us;
  unsigned char alpn[256];
  unsigned int alpn_length;
  char *passphrase;
} dtls_context;

struct dtls_session {
  dtls_env *env;
  dtls_context *context;
  SSL *ssl;
  /* The datagram at hand, borrowed from the caller for the time of a call. */
  const uint8_t *in;
  size_t in_length;
  bool is_peeking;
  bool is_established;
  bool is_dead;
  bool is_resting;
  size_t handshake_bytes;
  uint32_t early_datagrams;
  size_t least_record;
  int mtu;
  const uint8_t *cookie_key;
  size_t cookie_key_length;
  const uint8_t *cookie_secrets;
};

struct dtls_env {
  /* One for the environment itself, one for each context that was not collected yet. */
  uint32_t references;
  napi_ref keep;
  BIO_METHOD *method;
  BIO_ADDR *no_address;
  dtls_session **slots;
  uint16_t *generations;
  uint32_t *free_slots;
  uint32_t slot_count;
  uint32_t free_count;
  uint8_t *arena;
  size_t arena_bytes;
  uint32_t *meta;
  uint32_t max_entries;
  /* Of the call under way. */
  size_t at;
  uint32_t entries;
  /* Why the last session failed or the last context was refused. */
  char failure[256];
};

/* context.c */
dtls_context *context_new(dtls_env *env, int min_version, const char *ciphers, const char *groups);
bool context_add_certificate(dtls_context *context, const char *certificate, size_t certificate_length, const char *key,
                             size_t key_length);
bool context_set_authorities(dtls_context *context, const char *pem, size_t length);
void context_set_verification(dtls_context *context, bool asks, bool requires, bool has_authorities);
bool context_set_alpn(dtls_context *context, const unsigned char *list, unsigned int length);
void context_release(dtls_context *context);

/* session.c */
BIO_METHOD *datagram_method_new(void);
dtls_session *session_new(dtls_context *context, bool is_server, int mtu, const char *server_name);
void session_free(dtls_session *session);
int session_listen(dtls_context *context, const uint8_t *bytes, size_t length);
uint32_t session_accept(dtls_session *session);
uint32_t session_start(dtls_session *session);
uint32_t session_receive(dtls_session *session, const uint8_t *bytes, size_t length);
uint32_t session_timeout(dtls_session *session);
bool session_send(dtls_session *session, const uint8_t *bytes, size_t length);
bool session_rest(dtls_session *session);
void session_close(dtls_session *session);
int cookie_generate(SSL *ssl, unsigned char *cookie, unsigned int *length);
int cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int length);

void env_release(dtls_env *env);
/* The reason on top of OpenSSL's queue, kept for the caller; the queue is emptied. */
void env_note_failure(dtls_env *env, const char *otherwise);
#endif
