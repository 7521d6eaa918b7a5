#include <algorithm>

#include "daemon/engine/csv.hpp"
#include "daemon/engine/registry_fields.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse::registry_files {
namespace {

template <class Row>
std::string csv_of(const std::vector<Row>& rows) {
    std::string out;
    const char* separator = "";
    for (const Field<Row>& field : fields<Row>()) {
        out += separator + std::string(field.name);
        separator = ",";
    }
    out += "\n";
    for (const Row& row : rows) {
        separator = "";
        for (const Field<Row>& field : fields<Row>()) {
            out += separator + csv::quoted(field.write(row));
            separator = ",";
        }
        out += "\n";
    }
    return out;
}

std::string toml_string(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out + "\"";
}

std::string clock_text(int minute) {
    const auto two = [](int value) { return (value < 10 ? "0" : "") + std::to_string(value); };
    return two(minute / 60) + ":" + two(minute % 60);
}

std::string quantity(Milli value) {
    return toml_string(format_decimal_trimmed(value.count, 3, 0));
}

std::string months_of(const std::vector<int>& months) {
    std::string out;
    for (const int month : months) {
        out += (out.empty() ? "months = [" : ", ") + std::to_string(month);
    }
    return out.empty() ? out : out + "], ";
}

std::string tiers_of(const TariffVersion& version) {
    std::string out = "tiers = [\n";
    for (const Tier& tier : version.tiers) {
        out += "  { " + months_of(tier.months);
        if (tier.up_to) {
            out += "up_to = " + quantity(*tier.up_to) + ", ";
        }
        out += version.bands.empty() ? "price = " + toml_string(format(tier.price))
                                     : "adder = " + toml_string(format(tier.adder));
        out += " },\n";
    }
    return out + "]\n";
}

const char* days_of(BandDays days) {
    switch (days) {
        case BandDays::all:
            return "all";
        case BandDays::workday:
            return "workday";
        case BandDays::weekend:
            return "weekend";
        case BandDays::holiday:
            return "holiday";
    }
    return "";
}

std::string bands_of(const TariffVersion& version) {
    std::string out = "bands = [\n";
    for (const Band& band : version.bands) {
        out += "  { name = " + toml_string(band.name) + ", from = \"" +
               clock_text(band.from_minute) + "\", to = \"" + clock_text(band.to_minute) + "\", " +
               months_of(band.months);
        if (band.days != BandDays::all) {
            out += std::string("days = \"") + days_of(band.days) + "\", ";
        }
        out += "price = " + toml_string(format(band.price)) + " },\n";
    }
    return out + "]\n";
}

std::string version_of(const TariffVersion& version) {
    std::string out =
        "\n[[tariff.version]]\nvalid_from = \"" + format_date(version.valid_from) + "\"\n";
    out += std::string("ladder = \"") +
           (version.ladder == LadderPeriod::none    ? "none"
            : version.ladder == LadderPeriod::month ? "month"
                                                    : "year") +
           "\"\n";
    const bool first_of_january = version.ladder_from_month == 1 && version.ladder_from_day == 1;
    if (version.ladder == LadderPeriod::year || !first_of_january) {
        const LocalDate from{2000, version.ladder_from_month, version.ladder_from_day};
        out += "ladder_from = \"" + format_date(from).substr(5) + "\"\n";
    }
    if (!version.tiers.empty()) {
        out += tiers_of(version);
    }
    if (!version.bands.empty()) {
        out += bands_of(version);
    }
    if (version.per_person) {
        out += "per_person = { from = " + std::to_string(version.per_person->from) +
               ", up_to_plus = " + quantity(version.per_person->up_to_plus) + " }\n";
    }
    std::string fees;
    for (const FixedFee& fee : version.fixed) {
        fees += std::string(fees.empty() ? "" : ", ") + "{ name = " + toml_string(fee.name) +
                ", per = \"" + (fee.per == FeePeriod::month ? "month" : "day") +
                "\", amount = " + toml_string(format(fee.amount)) + " }";
    }
    if (!fees.empty()) {
        out += "fixed = [ " + fees + " ]\n";
    }
    if (version.minimum != Fen{0}) {
        out += "minimum = " + toml_string(format(version.minimum)) + "\n";
    }
    if (version.quantity_step != Milli{1}) {
        out += "quantity_step = " + quantity(version.quantity_step) + "\n";
    }
    return out;
}

}  // namespace

std::string write_tariff(const Tariff& tariff) {
    std::string out = "[[tariff]]\nid = " + toml_string(tariff.tariff) + "\n";
    std::string labels;
    for (const auto& [language, text] : tariff.label) {
        labels += (labels.empty() ? "" : ", ") + language + " = " + toml_string(text);
    }
    if (!labels.empty()) {
        out += "label = { " + labels + " }\n";
    }
    out += std::string("service = \"") + gatehouse::to_string(tariff.service) + "\"\n";
    out += "source = " + toml_string(tariff.source) + "\n";
    std::string uses;
    for (const Use use : tariff.uses) {
        uses += (uses.empty() ? "" : ", ") + toml_string(gatehouse::to_string(use));
    }
    if (!uses.empty()) {
        out += "uses = [" + uses + "]\n";
    }
    for (const TariffVersion& version : tariff.versions) {
        out += version_of(version);
    }
    return out;
}

Files write(const Registry& registry, const CardHash& hash) {
    Registry hashed = registry;
    hash_cards(hashed, hash);
    Files out;
    for_each_csv_table([&](Table table, auto member) {
        out.emplace_back(columns_of(table).file, csv_of(hashed.*member));
        if (table == Table::accounts) {
            for (const Tariff& tariff : hashed.tariffs) {
                out.emplace_back("tariffs/" + tariff.tariff + ".toml", write_tariff(tariff));
            }
        }
    });
    return out;
}

}  // namespace gatehouse::registry_files
