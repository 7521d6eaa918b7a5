#include "daemon/config/key_pair.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

namespace gatehouse::config {
namespace {

// Nobody is there to be asked for a pass phrase.
int no_pass_phrase(char*, int, int, void*) {
    return -1;
}

template <class T, class Free, class Read>
std::unique_ptr<T, Free> read_pem(const std::string& path, Free free, Read read) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(path.c_str(), "rb"),
                                                         &BIO_free);
    return {file ? read(file.get(), nullptr, &no_pass_phrase, nullptr) : nullptr, free};
}

}  // namespace

bool may_belong_together(const std::string& certificate, const std::string& key) {
    const auto shown = read_pem<X509>(certificate, &X509_free, &PEM_read_bio_X509);
    const auto secret = read_pem<EVP_PKEY>(key, &EVP_PKEY_free, &PEM_read_bio_PrivateKey);
    const bool fits = !shown || !secret || X509_check_private_key(shown.get(), secret.get()) == 1;
    ERR_clear_error();
    return fits;
}

}  // namespace gatehouse::config
