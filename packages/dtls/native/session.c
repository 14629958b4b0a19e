/* Sessions: one peer each. Every function here leaves datagrams to send and received plaintext in the arena. */
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include "dtls.h"

#define MAX_RETRANSMIT_US 60000000u
#define RECORD_HEADER_BYTES 13
/* IPv4 and UDP headers: OpenSSL asks for them when it compares the MTU with its least. */
#define MTU_OVERHEAD 28

/* Notes what lies in the arena at `at`, unless there is no room for more. */
static void add_entry(dtls_env *env, size_t length, uint32_t kind) {
  if (env->entries >= env->max_entries) return;
  uint32_t *entry = env->meta + META_ENTRIES + 2 * env->entries++;
  entry[0] = (uint32_t)env->at;
  entry[1] = (uint32_t)length << 1 | kind;
  env->at += length;
}

/* What does not fit is lost, as datagrams are; retransmission brings it back. */
static int datagram_write(BIO *bio, const char *bytes, int length) {
  dtls_session *session = BIO_get_data(bio);
  dtls_env *env = session->env;
  BIO_clear_retry_flags(bio);
  if (length <= 0) return length;
  if ((size_t)length > env->arena_bytes - env->at) return length;
  memcpy(env->arena + env->at, bytes, (size_t)length);
  add_entry(env, (size_t)length, 0);
  return length;
}

static int datagram_read(BIO *bio, char *bytes, int size) {
  dtls_session *session = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (session->in == NULL || size <= 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  int length = session->in_length > (size_t)size ? size : (int)session->in_length;
  memcpy(bytes, session->in, (size_t)length);
  if (!session->is_peeking) session->in = NULL;
  return length;
}

static long datagram_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)pointer;
  dtls_session *session = BIO_get_data(bio);
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_PENDING:
      return session->in == NULL ? 0 : (long)session->in_length;
    case BIO_CTRL_DGRAM_SET_PEEK_MODE:
      session->is_peeking = number != 0;
      return 1;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
      return MTU_OVERHEAD;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return session->mtu;
    default:
      return 0;
  }
}

static int datagram_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD *datagram_method_new(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x7f, "atoll datagrams");
  if (method == NULL) return NULL;
  BIO_meth_set_write(method, datagram_write);
  BIO_meth_set_read(method, datagram_read);
  BIO_meth_set_ctrl(method, datagram_ctrl);
  BIO_meth_set_create(method, datagram_create);
  return method;
}

static bool make_cookie(const dtls_session *session, int which, unsigned char *cookie) {
  unsigned int length = 0;
  return session->cookie_secrets != NULL &&
         HMAC(EVP_sha256(), session->cookie_secrets + which * SECRET_BYTES, SECRET_BYTES, session->cookie_key,
              session->cookie_key_length, cookie, &length) != NULL;
}

int cookie_generate(SSL *ssl, unsigned char *cookie, unsigned int *length) {
  *length = SECRET_BYTES;
  return make_cookie(SSL_get_app_data(ssl), 0, cookie);
}

/* The secret before the present one counts too: a client may be under way while it changes. */
int cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int length) {
  unsigned char own[EVP_MAX_MD_SIZE];
  if (length != SECRET_BYTES) return 0;
  for (int which = 0; which < 2; which++) {
    if (make_cookie(SSL_get_app_data(ssl), which, own) && CRYPTO_memcmp(own, cookie, length) == 0) return 1;
  }
  return 0;
}

static unsigned int next_timeout(SSL *ssl, unsigned int last_us) {
  dtls_session *session = SSL_get_app_data(ssl);
  if (last_us == 0) return session->context->retransmit_us;
  return last_us > MAX_RETRANSMIT_US / 2 ? MAX_RETRANSMIT_US : 2 * last_us;
}

dtls_session *session_new(dtls_context *context, bool is_server, int mtu, const char *server_name) {
  dtls_env *env = context->env;
  dtls_session *session = calloc(1, sizeof *session);
  if (session == NULL) return NULL;
  session->env = env;
  session->mtu = mtu;
  session->ssl = SSL_new(context->ssl_ctx);
  BIO *bio = BIO_new(env->method);
  if (session->ssl == NULL || bio == NULL) {
    BIO_free(bio);
    SSL_free(session->ssl);
    free(session);
    env_note_failure(env, "OpenSSL has no memory for another session");
    return NULL;
  }
  session->context = context;
  context->references++;
  BIO_set_data(bio, session);
  SSL_set_bio(session->ssl, bio, bio);
  SSL_set_app_data(session->ssl, session);
  if (is_server) {
    SSL_set_accept_state(session->ssl);
  } else {
    SSL_set_connect_state(session->ssl);
    if (server_name != NULL) {
      SSL_set_tlsext_host_name(session->ssl, server_name);
      SSL_set1_host(session->ssl, server_name);
    }
  }
  SSL_set_mtu(session->ssl, mtu);
  DTLS_set_timer_cb(session->ssl, next_timeout);
  return session;
}

void session_free(dtls_session *session) {
  dtls_context *context = session->context;
  SSL_free(session->ssl);
  free(session);
  context_release(context);
}

/* OpenSSL tells errors apart by its queue, which others may have left something in. Looking is cheaper than emptying. */
static void empty_queue(void) {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

static uint32_t fail(dtls_session *session, const char *otherwise) {
  session->is_dead = true;
  env_note_failure(session->env, otherwise);
  return FLAG_FAILED;
}

/* The time until OpenSSL wants to send its flight again, for the caller's own clock. */
static uint32_t note_timer(dtls_session *session) {
  struct timeval left;
  if (session->is_dead || DTLSv1_get_timeout(session->ssl, &left) != 1) return 0;
  session->env->meta[META_TIMER] = (uint32_t)(left.tv_sec * 1000 + (left.tv_usec + 999) / 1000);
  return FLAG_TIMER;
}

/* The least an encrypted record holds. OpenSSL gives a whole session up when a shorter one comes, and anybody can send
 * one: that check stands before the one of the tag. */
static size_t least_record(const SSL_CIPHER *cipher) {
  if (cipher == NULL || SSL_CIPHER_is_aead(cipher) != 1) return 0;
  const char *name = SSL_CIPHER_get_name(cipher);
  /* Nonce and tag; ChaCha20 sends no nonce, CCM8 half a tag. */
  return strstr(name, "CHACHA20") != NULL || strstr(name, "CCM8") != NULL ? 16 : 8 + 16;
}

enum { DATAGRAM_PLAIN, DATAGRAM_ENCRYPTED, DATAGRAM_MALFORMED };

static int classify(const uint8_t *bytes, size_t length, size_t least) {
  int kind = DATAGRAM_PLAIN;
  for (size_t at = 0; at + RECORD_HEADER_BYTES <= length;) {
    size_t record = (size_t)bytes[at + 11] << 8 | bytes[at + 12];
    if (bytes[at + 3] != 0 || bytes[at + 4] != 0) {
      if (record < least) return DATAGRAM_MALFORMED;
      kind = DATAGRAM_ENCRYPTED;
    }
    at += RECORD_HEADER_BYTES + record;
  }
  return kind;
}

static uint32_t shake_hands(dtls_session *session) {
  int result = SSL_do_handshake(session->ssl);
  if (result == 1) {
    session->is_established = true;
    session->least_record = least_record(SSL_get_current_cipher(session->ssl));
    return FLAG_OPENED;
  }
  int error = SSL_get_error(session->ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    empty_queue();
    return 0;
  }
  return fail(session, "the handshake failed");
}

static uint32_t read_records(dtls_session *session) {
  dtls_env *env = session->env;
  for (;;) {
    if (env->arena_bytes - env->at < MAX_RECORD_BYTES || env->entries >= env->max_entries) {
      session->in = NULL;
      return 0;
    }
    int length = SSL_read(session->ssl, env->arena + env->at, MAX_RECORD_BYTES);
    if (length > 0) {
      add_entry(env, (size_t)length, ENTRY_PLAIN);
      if (session->in == NULL && SSL_has_pending(session->ssl) == 0) return 0;
      continue;
    }
    int error = SSL_get_error(session->ssl, length);
    if (error == SSL_ERROR_ZERO_RETURN) {
      session->is_dead = true;
      SSL_shutdown(session->ssl);
      empty_queue();
      return FLAG_CLOSED;
    }
    /* In its error state OpenSSL has nothing in the queue the second time. */
    bool is_nothing = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ||
                      (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0 && SSL_is_init_finished(session->ssl));
    if (!is_nothing) return fail(session, "the session failed");
    empty_queue();
    return 0;
  }
}

static void forget_input(dtls_session *session) {
  session->in = NULL;
  session->cookie_key = NULL;
  session->cookie_secrets = NULL;
}

int session_listen(dtls_context *context, const uint8_t *bytes, size_t length) {
  dtls_session *next = context->next;
  next->in = bytes;
  next->in_length = length;
  next->is_peeking = false;
  int result = DTLSv1_listen(next->ssl, context->env->no_address);
  empty_queue();
  next->is_peeking = false;
  if (result == 1) {
    SSL_set_mtu(next->ssl, next->mtu);
    DTLS_set_timer_cb(next->ssl, next_timeout);
  } else {
    forget_input(next);
  }
  return result;
}

/* Answers the ClientHello whose cookie was good. OpenSSL up to 3.1 reads it again, later ones kept it; all verify the
 * cookie once more. */
uint32_t session_accept(dtls_session *session) {
  uint32_t flags = session_start(session);
  forget_input(session);
  return flags;
}

/* A silent session need not hold 33 kB of record buffers. */
bool session_rest(dtls_session *session) {
  if (session->is_dead || !session->is_established || session->is_resting) return false;
  session->is_resting = SSL_free_buffers(session->ssl) == 1;
  empty_queue();
  return session->is_resting;
}

/* OpenSSL does not take new buffers by itself when it writes DTLS. */
static bool wake(dtls_session *session) {
  if (session->is_resting) session->is_resting = SSL_alloc_buffers(session->ssl) != 1;
  return !session->is_resting;
}

uint32_t session_start(dtls_session *session) {
  empty_queue();
  uint32_t flags = shake_hands(session);
  return flags | note_timer(session);
}

uint32_t session_receive(dtls_session *session, const uint8_t *bytes, size_t length) {
  uint32_t flags = 0;
  if (session->is_dead || length == 0 || !wake(session)) return 0;
  empty_queue();
  bool was_established = session->is_established;
  if (!was_established) {
    session->handshake_bytes += length;
    if (session->handshake_bytes > MAX_HANDSHAKE_BYTES) {
      session->is_dead = true;
      env_note_failure(session->env, "too many bytes for a handshake");
      return FLAG_FAILED;
    }
    session->least_record = least_record(SSL_get_pending_cipher(session->ssl));
  }
  int kind = classify(bytes, length, session->least_record);
  if (kind == DATAGRAM_MALFORMED) return 0;
  if (!was_established && kind == DATAGRAM_ENCRYPTED && ++session->early_datagrams > MAX_EARLY_DATAGRAMS) return 0;
  session->in = bytes;
  session->in_length = length;
  if (!was_established) flags = shake_hands(session);
  if (session->is_established && !session->is_dead) flags |= read_records(session);
  session->in = NULL;
  return was_established ? flags : flags | note_timer(session);
}

uint32_t session_timeout(dtls_session *session) {
  if (session->is_dead || !wake(session)) return 0;
  empty_queue();
  if (DTLSv1_handle_timeout(session->ssl) < 0) return fail(session, "the peer did not answer in time");
  return note_timer(session);
}

/* Leaves one datagram in the arena. */
bool session_send(dtls_session *session, const uint8_t *bytes, size_t length) {
  if (session->is_dead || !session->is_established || length == 0 || length > MAX_RECORD_BYTES || !wake(session))
    return false;
  empty_queue();
  if (SSL_write(session->ssl, bytes, (int)length) > 0) return true;
  empty_queue();
  return false;
}

void session_close(dtls_session *session) {
  if (session->is_dead) return;
  session->is_dead = true;
  empty_queue();
  if (session->is_established && wake(session)) SSL_shutdown(session->ssl);
  empty_queue();
}
