/* Contexts: certificates, ciphers and rules that sessions start with. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include "dtls.h"

/* The longest certificate chain a peer may send. OpenSSL keeps ten messages of this length at most for one handshake. */
#define MAX_CHAIN_BYTES 16384

static int give_passphrase(char *buffer, int size, int writing, void *data) {
  (void)writing;
  const char *passphrase = data;
  if (passphrase == NULL) return -1;
  size_t length = strlen(passphrase);
  if (length > (size_t)size) return -1;
  memcpy(buffer, passphrase, length);
  return (int)length;
}

/* The caller looks at fingerprint and chain itself once the handshake is through. */
static int accept_any(X509_STORE_CTX *store, void *data) {
  (void)data;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                       unsigned int in_length, void *data) {
  (void)ssl;
  const dtls_context *context = data;
  unsigned char *chosen = NULL;
  int found = SSL_select_next_proto(&chosen, out_length, context->alpn, context->alpn_length, in, in_length);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

dtls_context *context_new(dtls_env *env, int min_version, const char *ciphers, const char *groups) {
  dtls_context *context = calloc(1, sizeof *context);
  if (context == NULL) return NULL;
  context->env = env;
  env->references++;
  context->references = 1;
  SSL_CTX *ctx = SSL_CTX_new(DTLS_method());
  context->ssl_ctx = ctx;
  if (ctx == NULL) goto failed;
  /* SHA-1 signatures, which DTLS 1.0 cannot do without, are below OpenSSL's first security level. */
  if (min_version == DTLS1_VERSION) SSL_CTX_set_security_level(ctx, 0);
  /* With encrypt-then-MAC, OpenSSL ends a DTLS session at the first forged record instead of dropping it. */
  SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(ctx, MAX_CHAIN_BYTES);
  SSL_CTX_set_dh_auto(ctx, 1);
  SSL_CTX_set_cookie_generate_cb(ctx, cookie_generate);
  SSL_CTX_set_cookie_verify_cb(ctx, cookie_verify);
  SSL_CTX_set_default_passwd_cb(ctx, give_passphrase);
  if (SSL_CTX_set_min_proto_version(ctx, min_version) != 1 || SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(ctx, ciphers) != 1 || SSL_CTX_set1_groups_list(ctx, groups) != 1)
    goto failed;
  return context;
failed:
  env_note_failure(env, "OpenSSL refuses the settings");
  context_release(context);
  return NULL;
}

bool context_add_certificate(dtls_context *context, const char *certificate, size_t certificate_length, const char *key,
                             size_t key_length) {
  bool done = false;
  SSL_CTX *ctx = context->ssl_ctx;
  BIO *certificates = BIO_new_mem_buf(certificate, (int)certificate_length);
  BIO *keys = BIO_new_mem_buf(key, (int)key_length);
  X509 *leaf = NULL;
  EVP_PKEY *private_key = NULL;
  STACK_OF(X509) *chain = sk_X509_new_null();
  if (certificates == NULL || keys == NULL || chain == NULL) goto end;
  leaf = PEM_read_bio_X509_AUX(certificates, NULL, give_passphrase, NULL);
  if (leaf == NULL) goto end;
  for (X509 *next; (next = PEM_read_bio_X509(certificates, NULL, give_passphrase, NULL)) != NULL;) {
    if (sk_X509_push(chain, next) <= 0) {
      X509_free(next);
      goto end;
    }
  }
  ERR_clear_error();
  private_key = PEM_read_bio_PrivateKey(keys, NULL, give_passphrase, context->passphrase);
  if (private_key == NULL) goto end;
  /* Two certificates of the same kind cannot both be offered, so the later one counts. */
  done = SSL_CTX_use_cert_and_key(ctx, leaf, private_key, chain, 1) == 1;
end:
  if (!done) env_note_failure(context->env, "certificate and key cannot be used");
  EVP_PKEY_free(private_key);
  X509_free(leaf);
  sk_X509_pop_free(chain, X509_free);
  BIO_free(keys);
  BIO_free(certificates);
  return done;
}

bool context_set_authorities(dtls_context *context, const char *pem, size_t length) {
  X509_STORE *store = SSL_CTX_get_cert_store(context->ssl_ctx);
  BIO *bio = BIO_new_mem_buf(pem, (int)length);
  if (bio == NULL) return false;
  int count = 0;
  bool is_good = true;
  for (X509 *authority; (authority = PEM_read_bio_X509(bio, NULL, give_passphrase, NULL)) != NULL; count++) {
    if (X509_STORE_add_cert(store, authority) != 1) is_good = false;
    SSL_CTX_add_client_CA(context->ssl_ctx, authority);
    X509_free(authority);
  }
  BIO_free(bio);
  if (count == 0 || !is_good) {
    env_note_failure(context->env, "no certificate authority could be read");
    return false;
  }
  ERR_clear_error();
  return true;
}

void context_set_verification(dtls_context *context, bool asks, bool requires, bool has_authorities) {
  int mode = asks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
  if (asks && requires) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context->ssl_ctx, mode, NULL);
  if (!has_authorities) SSL_CTX_set_cert_verify_callback(context->ssl_ctx, accept_any, NULL);
}

bool context_set_alpn(dtls_context *context, const unsigned char *list, unsigned int length) {
  if (length == 0 || length > sizeof context->alpn) return false;
  memcpy(context->alpn, list, length);
  context->alpn_length = length;
  SSL_CTX_set_alpn_select_cb(context->ssl_ctx, choose_alpn, context);
  return SSL_CTX_set_alpn_protos(context->ssl_ctx, list, length) == 0;
}

void context_release(dtls_context *context) {
  if (--context->references > 0) return;
  SSL_CTX_free(context->ssl_ctx);
  env_release(context->env);
  free(context);
}
