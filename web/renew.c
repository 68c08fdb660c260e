/*
 * What may change while the server runs: certificate, tokens and the host names that it answers to,
 * read at the start and again at SIGHUP.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "web/pem.h"
#include "web/server.h"

/* A key with a password is none that we could use: nobody is there to be asked for it. */
static int no_password(char *out, int size, int writing, void *context)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static int check_pair(const struct web *web, const struct config_http *http, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(web->key, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    int rc = 0;
    if (!key)
        rc = err_set(err, ERR_USAGE, "http.tls.key: %s holds no private key that can be read",
                     http->tls_key);
    else if (X509_check_private_key(web->certificate_x509, key) != 1)
        rc = err_set(err, ERR_USAGE, "http.tls.key: %s is not the key of %s", http->tls_key,
                     http->tls_cert);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

int server_load_tls(struct web *web, const struct config_http *http, struct err *err)
{
    if (!http->tls_cert && !http->tls_key)
        return 0;
    if (!http->tls_cert || !http->tls_key)
        return err_set(err, ERR_USAGE, "http.tls: needs both cert and key");
    int rc = pem_read(&web->certificate, "http.tls.cert", http->tls_cert, err);
    if (rc == 0)
        rc = pem_read(&web->key, "http.tls.key", http->tls_key, err);
    if (rc)
        return rc;
    BIO *bio = BIO_new_mem_buf(web->certificate, -1);
    web->certificate_x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!web->certificate_x509)
        return err_set(err, ERR_USAGE, "http.tls.cert: %s holds no certificate", http->tls_cert);
    return check_pair(web, http, err);
}

/* The names of the configuration and of public_url, one a line. */
int server_load_hosts(char **out, const struct config_http *http, struct err *err)
{
    struct buf text;
    char name[256];
    buf_init(&text, 1024 * 1024);
    for (size_t i = 0; i < http->n_hosts; i++)
        buf_printf(&text, "%s\n", http->hosts[i]);
    const char *url = http->public_url ? strstr(http->public_url, "://") : NULL;
    if (url) {
        char host[256];
        snprintf(host, sizeof(host), "%.*s", (int)strcspn(url + 3, "/"), url + 3);
        if (host_name(name, sizeof(name), host))
            buf_printf(&text, "%s\n", name);
    }
    buf_bytes(&text, "", 1);
    *out = buf_failed(&text) ? NULL : strdup((const char *)text.data);
    buf_finish(&text);
    return *out ? 0 : err_set(err, -ENOMEM, "http.hosts: no memory");
}

/* What is read again, before any of it counts. */
struct renewal {
    struct tokens *tokens;
    char *hosts;
    struct web tls; /* certificate, key, certificate_x509 */
};

static void wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void renewal_finish(struct renewal *renewal)
{
    tokens_free(renewal->tokens);
    free(renewal->hosts);
    free(renewal->tls.certificate);
    wipe(renewal->tls.key);
    X509_free(renewal->tls.certificate_x509);
}

int web_check(const struct config *config, struct err *err)
{
    const struct config_http *http = &config->http;
    struct renewal read = {0};
    struct err why;
    bool tokens = http->tokens && tokens_read(&read.tokens, http->tokens, &why);
    bool tls = !tokens && server_load_tls(&read.tls, http, &why);
    renewal_finish(&read);
    return tokens || tls ? err_set(err, ERR_DATA, "%s:%d: %s%s", config->path, http->line,
                                   tokens ? "http.tokens: " : "", why.text)
                         : 0;
}

static int renewal_read(struct renewal *renewal, const struct web *web,
                        const struct config_http *http, struct err *err)
{
    if (web->tokens && !http->tokens)
        return err_set(err, ERR_USAGE, "http.tokens: doing without them needs a restart");
    if (!web->certificate != !http->tls_cert)
        return err_set(err, ERR_USAGE, "http.tls: turning it on or off needs a restart");
    int rc = http->tokens ? tokens_read(&renewal->tokens, http->tokens, err) : 0;
    if (rc == 0)
        rc = server_load_hosts(&renewal->hosts, http, err);
    if (rc == 0)
        rc = server_load_tls(&renewal->tls, http, err);
    return rc;
}

static void swap_tls(struct web *a, struct web *b)
{
    pthread_mutex_lock(&a->turn);
    char *certificate = a->certificate, *key = a->key;
    void *x509 = a->certificate_x509;
    a->certificate = b->certificate;
    a->key = b->key;
    a->certificate_x509 = b->certificate_x509;
    b->certificate = certificate;
    b->key = key;
    b->certificate_x509 = x509;
    pthread_mutex_unlock(&a->turn);
}

/*
 * The library reads certificate and key when it starts only. So a second instance takes the
 * listening socket over, and the first one keeps the connections that it has until we stop; that
 * happens once in some weeks. Certificates that do not fit give the socket back.
 */
static int renew_certificate(struct web *web, const struct config_http *http, struct web *fresh,
                             struct err *err)
{
    if (!web->certificate ||
        (strcmp(web->certificate, fresh->certificate) == 0 && strcmp(web->key, fresh->key) == 0))
        return 0;
    if (web->n_former == sizeof(web->former) / sizeof(web->former[0]))
        return err_set(err, ERR_USAGE,
                       "http.tls.cert: read again %zu times already; restart to read it once more",
                       web->n_former);
    /* Tried on a socket of its own first: one that fails must not have taken ours. */
    struct MHD_Daemon *next = NULL;
    AUTO_CLOSE int trial = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (trial < 0 || listen(trial, 1))
        return err_set(err, -errno, "http.tls: no socket to try the certificate: %s",
                       err_words(errno));
    swap_tls(web, fresh);
    int rc = server_listen(web, http, trial, &next, err);
    if (rc) {
        swap_tls(web, fresh);
        return rc;
    }
    MHD_stop_daemon(next);
    trial = -1; /* the library has closed it */
    int fd = MHD_quiesce_daemon(web->daemon);
    rc = fd < 0 ? err_set(err, -EIO, "http.tls: the listening socket cannot be handed over")
                : server_listen(web, http, fd, &next, err);
    if (rc)
        return rc;
    web->former[web->n_former++] = web->daemon;
    web->daemon = next;
    return 0;
}

int web_reload(struct web *web, const struct config *config, struct err *err)
{
    struct renewal renewal = {0};
    int rc = renewal_read(&renewal, web, &config->http, err);
    if (rc == 0)
        rc = renew_certificate(web, &web->options.config->http, &renewal.tls, err);
    if (rc == 0) {
        struct tokens *tokens = web->tokens;
        char *hosts = web->hosts;
        pthread_mutex_lock(&web->turn);
        web->tokens = renewal.tokens;
        web->hosts = renewal.hosts;
        pthread_mutex_unlock(&web->turn);
        renewal.tokens = tokens;
        renewal.hosts = hosts;
    }
    renewal_finish(&renewal);
    return rc;
}
