// Tariff versions in their tables.
#include <array>

#include "daemon/store/registry_rows.hpp"

namespace gatehouse::store {
namespace {

using sql::Connection;
using sql::Query;

constexpr std::array<const char*, 3> kLadders{"none", "month", "year"};
constexpr std::array<const char*, 4> kBandDays{"all", "workday", "weekend", "holiday"};
constexpr std::array<const char*, 2> kFeePeriods{"month", "day"};

template <class T, std::size_t N>
T from_word(const std::array<const char*, N>& words, const std::string& word) {
    for (std::size_t i = 0; i < N; ++i) {
        if (word == words[i]) return static_cast<T>(i);
    }
    // Our own schema holds a word that nobody knows: the file was changed by another program.
    throw StoreError(StoreError::Kind::corrupt, "tariffs: unknown word " + word);
}
template <class T, std::size_t N>
const char* to_word(const std::array<const char*, N>& words, T value) {
    return words[static_cast<std::size_t>(value)];
}

LocalDate date_of(const std::string& text) {
    const auto date = parse_date(text);
    if (!date) throw StoreError(StoreError::Kind::corrupt, "tariffs: not a date: " + text);
    return *date;
}

// Months as a set of bits: bit 0 is January.
std::int64_t month_bits(const std::vector<int>& months) {
    std::int64_t bits = 0;
    for (const int month : months) bits |= std::int64_t{1} << (month - 1);
    return bits;
}

std::vector<int> months_of(std::int64_t bits) {
    std::vector<int> months;
    for (int month = 1; month <= 12; ++month) {
        if (bits >> (month - 1) & 1) months.push_back(month);
    }
    return months;
}

// What belongs to a version, by tariff and day.
using Versions = std::unordered_map<std::string, TariffVersion*>;

TariffVersion& version_columns(Query& q, const Versions& versions) {
    const std::string tariff = q.text();
    return *versions.at(tariff + "\n" + q.text());
}

void load_tiers(Connection& c, const Versions& versions) {
    Query tiers(c,
                "SELECT tariff,valid_from,months,up_to,price,adder FROM tariff_tier "
                "ORDER BY tariff, valid_from, n");
    while (tiers.step()) {
        TariffVersion& version = version_columns(tiers, versions);
        Tier tier;
        tier.months = months_of(tiers.i64());
        if (const auto up_to = tiers.maybe_i64()) tier.up_to = Milli{*up_to};
        tier.price = Price{tiers.i64()};
        tier.adder = Price{tiers.i64()};
        version.tiers.push_back(std::move(tier));
    }
}

void load_bands(Connection& c, const Versions& versions) {
    Query bands(c,
                "SELECT tariff,valid_from,name,from_minute,to_minute,months,days,price "
                "FROM tariff_band ORDER BY tariff, valid_from, n");
    while (bands.step()) {
        TariffVersion& version = version_columns(bands, versions);
        Band band;
        band.name = bands.text();
        band.from_minute = bands.i32();
        band.to_minute = bands.i32();
        band.months = months_of(bands.i64());
        band.days = from_word<BandDays>(kBandDays, bands.text());
        band.price = Price{bands.i64()};
        version.bands.push_back(std::move(band));
    }
}

void load_fees(Connection& c, const Versions& versions) {
    Query fees(c,
               "SELECT tariff,valid_from,name,per,amount FROM tariff_fixed "
               "ORDER BY tariff, valid_from, n");
    while (fees.step()) {
        TariffVersion& version = version_columns(fees, versions);
        FixedFee fee;
        fee.name = fees.text();
        fee.per = from_word<FeePeriod>(kFeePeriods, fees.text());
        fee.amount = Fen{fees.i64()};
        version.fixed.push_back(std::move(fee));
    }
}

}  // namespace

void put_tariff_version(Connection& c, const std::string& tariff, const TariffVersion& version) {
    const std::string from = format_date(version.valid_from);
    std::optional<std::int64_t> persons, plus;
    if (version.per_person) {
        persons = version.per_person->from;
        plus = version.per_person->up_to_plus.count;
    }
    {
        Query q(c,
                "INSERT INTO tariff_version VALUES(?,?,?,?,?,?,?,?,?) "
                "ON CONFLICT(tariff, valid_from) DO UPDATE SET ladder=excluded.ladder,"
                "ladder_from_month=excluded.ladder_from_month,"
                "ladder_from_day=excluded.ladder_from_day,"
                "per_person_from=excluded.per_person_from,"
                "per_person_up_to_plus=excluded.per_person_up_to_plus,"
                "minimum=excluded.minimum,quantity_step=excluded.quantity_step");
        q << tariff << from << to_word(kLadders, version.ladder) << version.ladder_from_month
          << version.ladder_from_day << persons << plus << version.minimum.count
          << version.quantity_step.count;
        q.run();
    }
    for (const char* sql : {"DELETE FROM tariff_tier WHERE tariff=? AND valid_from=?",
                            "DELETE FROM tariff_band WHERE tariff=? AND valid_from=?",
                            "DELETE FROM tariff_fixed WHERE tariff=? AND valid_from=?"}) {
        Query q(c, sql);
        q << tariff << from;
        q.run();
    }
    int n = 0;
    for (const Tier& tier : version.tiers) {
        std::optional<std::int64_t> up_to;
        if (tier.up_to) up_to = tier.up_to->count;
        Query q(c, "INSERT INTO tariff_tier VALUES(?,?,?,?,?,?,?)");
        q << tariff << from << n++ << month_bits(tier.months) << up_to << tier.price.count
          << tier.adder.count;
        q.run();
    }
    n = 0;
    for (const Band& band : version.bands) {
        Query q(c, "INSERT INTO tariff_band VALUES(?,?,?,?,?,?,?,?,?)");
        q << tariff << from << n++ << band.name << band.from_minute << band.to_minute
          << month_bits(band.months) << to_word(kBandDays, band.days) << band.price.count;
        q.run();
    }
    n = 0;
    for (const FixedFee& fee : version.fixed) {
        Query q(c, "INSERT INTO tariff_fixed VALUES(?,?,?,?,?,?)");
        q << tariff << from << n++ << fee.name << to_word(kFeePeriods, fee.per) << fee.amount.count;
        q.run();
    }
}

void load_tariff_versions(Connection& c, const std::unordered_map<std::string, Tariff*>& tariffs) {
    Versions versions;
    {
        Query q(c,
                "SELECT tariff,valid_from,ladder,ladder_from_month,ladder_from_day,"
                "per_person_from,per_person_up_to_plus,minimum,quantity_step FROM tariff_version "
                "ORDER BY tariff, valid_from");
        while (q.step()) {
            Tariff& tariff = *tariffs.at(q.text());
            TariffVersion version;
            version.valid_from = date_of(q.text());
            version.ladder = from_word<LadderPeriod>(kLadders, q.text());
            version.ladder_from_month = q.i32();
            version.ladder_from_day = q.i32();
            const auto persons = q.maybe_i64(), plus = q.maybe_i64();
            if (persons && plus) {
                version.per_person = PerPerson{static_cast<int>(*persons), Milli{*plus}};
            }
            version.minimum = Fen{q.i64()};
            version.quantity_step = Milli{q.i64()};
            tariff.versions.push_back(std::move(version));
        }
    }
    for (auto& [id, tariff] : tariffs) {
        for (auto& version : tariff->versions) {
            versions[id + "\n" + format_date(version.valid_from)] = &version;
        }
    }
    load_tiers(c, versions);
    load_bands(c, versions);
    load_fees(c, versions);
}

}  // namespace gatehouse::store
