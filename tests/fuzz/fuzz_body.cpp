// A JSON body as anybody may send it, read strictly by every kind of field that handlers ask for:
// texts, decimals, whole numbers, flags, lists and maps of files in base64. Whatever the bytes, it
// is refused with 400 or 422 and says where, or every value keeps the bounds of its reader.
#include <cstdlib>
#include <string>

#include "daemon/core/base64.hpp"
#include "daemon/http/body.hpp"
#include "daemon/http/message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace gatehouse;

constexpr std::size_t kDepth = 16;

void demand(bool holds) {
    if (!holds) std::abort();
}

bool is_clean(const std::string& text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') return false;
    return text.size() <= http::Body::kTextMax;
}

void read(std::string_view text) {
    http::Body body(text, kDepth);
    const std::string by = body.text("by");
    const std::string reason = body.required_text("reason");
    const std::string amount = body.required_decimal("amount");
    const std::string supersedes = body.number_text("supersedes");
    const auto hours = body.integer("hours", 1, 72);
    (void)body.flag("accept_last_reading");
    std::vector<std::string> scopes;
    if (body.has("scopes")) scopes = body.required_texts("scopes");
    std::vector<std::pair<std::string, std::string>> files;
    if (body.has("files")) files = body.required_map("files");
    body.finish();
    demand(is_clean(by) && is_clean(reason) && is_clean(amount));
    demand(!hours || (*hours >= 1 && *hours <= 72));
    demand(scopes.size() <= http::Body::kListMax && files.size() <= http::Body::kMapMax);
    demand(supersedes.find_first_not_of("-0123456789") == std::string::npos);
    for (const auto& [name, content] : files) {
        const auto bytes = base64_decode(content);
        if (bytes) demand(base64_decode(base64_encode(*bytes)) == bytes);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        read({reinterpret_cast<const char*>(data), size});
    } catch (const http::Refused& refused) {
        demand(refused.response.status == 400 || refused.response.status == 422);
        demand(refused.response.body.find("urn:gatehouse:problem:") != std::string::npos);
    }
    return 0;
}
