#include "daemon/config/site_data.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

#include "daemon/config/toml_reader.hpp"

namespace gatehouse::config {
namespace {

constexpr const char* kZoneFolder = "/usr/share/zoneinfo/";
constexpr std::size_t kZoneNameMax = 64;

// ISO 4217: the currencies whose minor unit is a hundredth. The ledger counts hundredths, so a
// currency with none or three decimals would be wrong by a factor.
constexpr std::string_view kCurrencies =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
    "GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD "
    "MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP "
    "PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS "
    "TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWL";
constexpr std::string_view kOtherDecimals =
    "BHD BIF CLF CLP DJF GNF IQD ISK JOD JPY KMF KRW KWD LYD OMR PYG RWF TND UGX UYI UYW VND VUV "
    "XAF XOF XPF";

std::vector<std::string> words_of(std::string_view text) {
    std::istringstream in{std::string(text)};
    std::vector<std::string> words;
    for (std::string word; in >> word;) {
        words.push_back(word);
    }
    return words;
}

std::vector<std::string> installed_zones() {
    std::ifstream in(std::string(kZoneFolder) + "tzdata.zi");
    std::vector<std::string> names{"UTC"};
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields(line);
        std::string kind;
        std::string first;
        std::string second;
        fields >> kind >> first >> second;
        if (kind == "Z") {
            names.push_back(first);
        } else if (kind == "L") {
            names.push_back(second);
        }
    }
    return names;
}

bool is_zone_name(const std::string& name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '/' || c == '_' || c == '-' || c == '+';
    };
    return !name.empty() && name.size() <= kZoneNameMax && name.front() != '/' &&
           std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace

std::string timezone_problem(const std::string& name) {
    if (is_zone_name(name)) {
        std::ifstream in(kZoneFolder + name, std::ios::binary);
        std::array<char, 4> magic{};
        in.read(magic.data(), magic.size());
        if (in && std::string_view(magic.data(), magic.size()) == "TZif") {
            return {};
        }
    }
    return "'" + name + "' is no time zone of this machine; write an IANA name such as " +
           "Asia/Shanghai" + toml_reader::did_you_mean(name, installed_zones());
}

std::string currency_problem(const std::string& code) {
    const auto known = words_of(kCurrencies);
    if (std::find(known.begin(), known.end(), code) != known.end()) {
        return {};
    }
    const auto others = words_of(kOtherDecimals);
    if (std::find(others.begin(), others.end(), code) != others.end()) {
        return "'" + code + "' has no hundredths; only currencies of two decimals are served";
    }
    return "'" + code + "' is no currency of ISO 4217 with two decimals, such as CNY" +
           toml_reader::did_you_mean(code, known);
}

}  // namespace gatehouse::config
