#include "daemon/http/addresses.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <optional>

namespace gatehouse::http {

namespace {

namespace ip = boost::asio::ip;

struct Network {
    ip::address address;
    unsigned bits = 0;
};

std::optional<Network> parse(const std::string& text) {
    const std::size_t slash = text.find('/');
    boost::system::error_code error;
    Network network{ip::make_address(text.substr(0, slash), error), 0};
    if (error) return std::nullopt;
    const unsigned most = network.address.is_v4() ? 32 : 128;
    network.bits = most;
    if (slash == std::string::npos) return network;
    const char* end = text.data() + text.size();
    const auto [at, wrong] = std::from_chars(text.data() + slash + 1, end, network.bits);
    if (wrong != std::errc() || at != end || network.bits > most) return std::nullopt;
    return network;
}

template <std::size_t N>
bool same_bits(const std::array<unsigned char, N>& a, const std::array<unsigned char, N>& b,
               unsigned bits) {
    for (std::size_t i = 0; i < N && bits > 0; ++i) {
        const unsigned here = std::min(bits, 8U);
        const unsigned mask = (0xFF00U >> here) & 0xFFU;
        if (((a[i] ^ b[i]) & mask) != 0) return false;
        bits -= here;
    }
    return true;
}

ip::address plain(const ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return ip::make_address_v4(ip::v4_mapped, address.to_v6());
    return address;
}

}  // namespace

bool is_address(const std::string& text) {
    return parse(text).has_value();
}

bool is_within(const std::string& peer, const std::vector<std::string>& addresses) {
    boost::system::error_code error;
    const ip::address from = plain(ip::make_address(peer, error));
    if (error) return false;
    return std::any_of(addresses.begin(), addresses.end(), [&](const std::string& text) {
        const auto network = parse(text);
        if (!network || network->address.is_v4() != from.is_v4()) return false;
        return from.is_v4() ? same_bits(from.to_v4().to_bytes(),
                                        network->address.to_v4().to_bytes(), network->bits)
                            : same_bits(from.to_v6().to_bytes(),
                                        network->address.to_v6().to_bytes(), network->bits);
    });
}

}  // namespace gatehouse::http
