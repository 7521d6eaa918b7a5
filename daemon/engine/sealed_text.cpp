#include "daemon/engine/sealed_text.hpp"

#include <sodium.h>
#include <zlib.h>

#include <array>
#include <utility>

#include "daemon/core/assert.hpp"

namespace gatehouse {
namespace {

constexpr int kLevel = 6;
constexpr std::uint64_t kTextMax = 256ULL * 1024 * 1024;  // of one file; a month has some 20 MB

std::string hash_text(const std::array<unsigned char, crypto_hash_sha256_BYTES>& digest) {
    std::array<char, 2 * crypto_hash_sha256_BYTES + 1> text{};
    sodium_bin2hex(text.data(), text.size(), digest.data(), digest.size());
    return text.data();
}

StoreError damaged(const PeriodFile& file) {
    return {StoreError::Kind::corrupt,
            "the sealed file " + file.name + " is damaged: restore a backup of the books"};
}

Bytef* bytes_of(std::string_view text) {
    // zlib's interface is older than const; it only reads here.
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

struct SealedText::Impl {
    z_stream stream{};
    crypto_hash_sha256_state hash{};
    PeriodFile file;

    void run(int flush) {
        std::array<Bytef, 16'384> out{};
        do {
            stream.next_out = out.data();
            stream.avail_out = static_cast<uInt>(out.size());
            GH_ASSERT(::deflate(&stream, flush) != Z_STREAM_ERROR);
            file.deflated.append(reinterpret_cast<const char*>(out.data()),
                                 out.size() - stream.avail_out);
        } while (stream.avail_out == 0);
    }
};

SealedText::SealedText() : impl_(std::make_unique<Impl>()) {
    GH_ASSERT(deflateInit(&impl_->stream, kLevel) == Z_OK);
    crypto_hash_sha256_init(&impl_->hash);
}

SealedText::~SealedText() {
    deflateEnd(&impl_->stream);
}

void SealedText::append(std::string_view text) {
    if (text.empty()) return;
    impl_->file.bytes += text.size();
    GH_ASSERT(impl_->file.bytes <= kTextMax);
    crypto_hash_sha256_update(&impl_->hash, reinterpret_cast<const unsigned char*>(text.data()),
                              text.size());
    impl_->stream.next_in = bytes_of(text);
    impl_->stream.avail_in = static_cast<uInt>(text.size());
    impl_->run(Z_NO_FLUSH);
}

PeriodFile SealedText::finish(std::string name) {
    impl_->stream.next_in = nullptr;
    impl_->stream.avail_in = 0;
    impl_->run(Z_FINISH);
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256_final(&impl_->hash, digest.data());
    impl_->file.name = std::move(name);
    impl_->file.sha256 = hash_text(digest);
    return std::move(impl_->file);
}

void read_sealed(const PeriodFile& file, const std::function<void(std::string_view piece)>& take) {
    z_stream stream{};
    GH_ASSERT(inflateInit(&stream) == Z_OK);
    const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
    stream.next_in = bytes_of(file.deflated);
    stream.avail_in = static_cast<uInt>(file.deflated.size());
    crypto_hash_sha256_state hash{};
    crypto_hash_sha256_init(&hash);
    std::array<Bytef, 65'536> out{};
    std::uint64_t bytes = 0;
    int result = Z_OK;
    while (result == Z_OK && bytes <= file.bytes) {
        stream.next_out = out.data();
        stream.avail_out = static_cast<uInt>(out.size());
        result = ::inflate(&stream, Z_NO_FLUSH);
        const std::size_t got = out.size() - stream.avail_out;
        crypto_hash_sha256_update(&hash, out.data(), got);
        bytes += got;
        if (result == Z_OK || result == Z_STREAM_END)
            take({reinterpret_cast<const char*>(out.data()), got});
    }
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256_final(&hash, digest.data());
    if (result != Z_STREAM_END || bytes != file.bytes || hash_text(digest) != file.sha256)
        throw damaged(file);
}

std::string open_sealed(const PeriodFile& file) {
    std::string text;
    if (file.bytes <= kTextMax) text.resize(file.bytes);
    uLongf size = text.size();
    const bool opened = file.bytes <= kTextMax &&
                        ::uncompress(reinterpret_cast<Bytef*>(text.data()), &size,
                                     bytes_of(file.deflated), file.deflated.size()) == Z_OK &&
                        size == file.bytes;
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(text.data()),
                       text.size());
    if (!opened || hash_text(digest) != file.sha256) throw damaged(file);
    return text;
}

}  // namespace gatehouse
