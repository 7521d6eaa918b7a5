#include "daemon/engine/tariff_file.hpp"

#include <algorithm>
#include <set>

#include "daemon/config/toml_reader.hpp"
#include "daemon/core/tariff.hpp"
#include "daemon/core/text.hpp"
#include "daemon/engine/csv.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse::registry_files {

using toml_reader::Report;
using toml_reader::Section;

namespace {

constexpr std::int64_t kLimitMax = 1'000'000'000'000;  // 1e-3
constexpr std::size_t kLabelMax = 256;

// Bands and fees are named in the words of the office: 峰, 服务费. Their names stand between signs
// in keys and causes, and in one cell of a file.
constexpr const char* kPriceName =
    "it must be 1 to 64 bytes of letters, digits and . _ - without blanks or other signs";
bool is_price_name(std::string_view name) {
    if (name.empty() || name.size() > kIdentifierMax || !is_utf8(name)) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0x80U) != 0 || is_identifier({&c, 1});
    });
}

class Reader {
  public:
    Reader(const std::string& file, TariffFile& out) : out_(out), report_(file), warnings_(file) {}

    void run(std::string_view text);

  private:
    template <class Each>
    void each_table(Section& section, std::string_view key, std::size_t most, const Each& each);
    void salvage(std::string_view text);
    void tariff(Section& section);
    void label(Section& section, Tariff& out);
    void uses(Section& section, Tariff& out);
    void version(Section& section, Tariff& tariff);
    void ladder(Section& section, TariffVersion& out);
    void tiers(Section& section, TariffVersion& out);
    void bands(Section& section, TariffVersion& out);
    void fixed(Section& section, TariffVersion& out);
    void per_person(Section& section, TariffVersion& out);
    void judge_tiers(Section& section, const TariffVersion& out);
    void judge_bands(Section& section, const TariffVersion& out);
    std::vector<int> months(Section& section);
    // A decimal string of at most `places`, from `least` on; absent: nothing.
    std::optional<std::int64_t> decimal(Section& section, std::string_view key, int places,
                                        std::int64_t least, std::int64_t most);

    TariffFile& out_;
    Report report_;
    Report warnings_;
};

void Reader::run(std::string_view text) {
    const auto document = toml_reader::parse(text, report_);
    if (document) {
        Section root(*document, "", {1, 1}, report_);
        if (!root.has("tariff")) {
            root.missing("[[tariff]]", "a tariff file holds at least one");
        }
        each_table(root, "tariff", kListMax, [&](Section& section) { tariff(section); });
        root.finish();
    } else {
        salvage(text);
    }
    out_.problems = report_.take();
    out_.warnings = warnings_.take();
}

// The ids of a file that is no valid TOML, so that what names them is not reported as well.
void Reader::salvage(std::string_view text) {
    int line_number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        ++line_number;
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (!line.starts_with("id")) {
            continue;
        }
        const std::size_t equals = line.find_first_not_of(" \t", 2);
        if (equals == std::string_view::npos || line[equals] != '=') {
            continue;
        }
        std::string_view id = line.substr(equals + 1);
        id.remove_prefix(std::min(id.find_first_not_of(" \t\"'"), id.size()));
        id = id.substr(0, id.find_first_of(" \t\r\"'#"));
        if (is_identifier(id)) {
            TariffRow row;
            row.tariff.tariff = std::string(id);
            row.line = line_number;
            row.damaged = true;
            out_.tariffs.push_back(std::move(row));
        }
    }
    out_.partial = out_.tariffs.empty();
}

template <class Each>
void Reader::each_table(Section& section, std::string_view key, std::size_t most,
                        const Each& each) {
    const auto* tables = section.array(key, most);
    if (tables == nullptr) {
        return;
    }
    for (const auto& node : *tables) {
        const auto* table = node.as_table();
        if (table == nullptr) {
            report_.add(toml_reader::position_of(node), section.path(key) + " must hold tables");
            continue;
        }
        Section item(*table, section.path(key), toml_reader::position_of(node), report_);
        each(item);
        item.finish();
    }
}

std::optional<std::int64_t> Reader::decimal(Section& section, std::string_view key, int places,
                                            std::int64_t least, std::int64_t most) {
    const auto text = section.text(key);
    if (!text) {
        return std::nullopt;
    }
    const auto value = parse_decimal(*text, places);
    if (!value) {
        section.problem(key, section.path(key) + " is '" + *text +
                                 "'; write a plain decimal in quotes with at most " +
                                 std::to_string(places) + " places");
        return std::nullopt;
    }
    if (*value < least || *value > most) {
        section.problem(key, section.path(key) + " is '" + *text + "'; it must be from " +
                                 format_decimal_trimmed(least, places, 0) + " to " +
                                 format_decimal_trimmed(most, places, 0));
        return std::nullopt;
    }
    return value;
}

void Reader::tariff(Section& section) {
    TariffRow row;
    row.line = section.at().line;
    Tariff& out = row.tariff;
    auto before = report_.count();
    // What was wrong since the last call belongs to that part.
    const auto part = [&](const char* name) {
        if (report_.count() != before) {
            row.unread.emplace(name);
        }
        before = report_.count();
    };
    if (const auto id = section.required_text("id")) {
        out.tariff = *id;
        if (!is_identifier(*id)) {
            section.problem("id", "tariff.id is '" + *id +
                                      "'; identifiers are 1 to 64 characters of "
                                      "a-z A-Z 0-9 . _ -");
        }
    }
    part("id");
    label(section, out);
    part("label");
    if (!section.has("service")) {
        section.missing("service", "write electricity or water");
    }
    if (const auto service = section.choice("service", {"electricity", "water"})) {
        out.service = kServices[*service];
    }
    part("service");
    if (const auto source = section.required_text("source")) {
        out.source = *source;
        if (source->empty()) {
            section.problem("source", "tariff.source must say where the prices were published");
        }
    }
    part("source");
    uses(section, out);
    part("uses");
    if (!section.has("version")) {
        section.missing("[[tariff.version]]", "a tariff needs at least one version");
    }
    each_table(section, "version", kVersionsMax, [&](Section& item) { version(item, out); });
    part("version");
    if (row.unread.contains("id")) {
        out_.partial = true;
    } else {
        out_.tariffs.push_back(std::move(row));
    }
}

void Reader::label(Section& section, Tariff& out) {
    const auto* table = section.table("label");
    if (table == nullptr) {
        return;
    }
    Section label(*table, section.path("label"), section.at("label"), report_);
    for (const char* language : {"zh-CN", "en"}) {
        if (const auto text = label.text(language)) {
            out.label[language] = *text;
            if (text->size() > kLabelMax) {
                label.problem(language, label.path(language) + " has more than 256 bytes");
            }
        }
    }
    label.finish();
}

void Reader::uses(Section& section, Tariff& out) {
    const auto* items = section.array("uses", 3);
    if (items == nullptr) {
        return;
    }
    const std::vector<std::string> words{"home", "shop", "common"};
    for (const auto& item : *items) {
        const auto word = item.value<std::string>();
        const auto found = std::find(words.begin(), words.end(), word.value_or(""));
        if (found == words.end()) {
            report_.add(toml_reader::position_of(item),
                        "tariff.uses holds " + (word ? "'" + *word + "'" : "no string") +
                            "; it must be one of home, shop, common" +
                            toml_reader::did_you_mean(word.value_or(""), words));
            continue;
        }
        const Use use = static_cast<Use>(found - words.begin());
        if (std::find(out.uses.begin(), out.uses.end(), use) != out.uses.end()) {
            report_.add(toml_reader::position_of(item), "tariff.uses names '" + *word + "' twice");
            continue;
        }
        out.uses.push_back(use);
    }
    if (items->empty()) {
        section.problem("uses", "tariff.uses is empty; leave it out for all uses");
    }
}

void Reader::version(Section& section, Tariff& tariff) {
    TariffVersion out;
    bool dated = false;
    if (const auto text = section.required_text("valid_from")) {
        const auto date = parse_date(*text);
        if (date) {
            out.valid_from = *date;
            dated = true;
        } else {
            section.problem("valid_from", section.path("valid_from") + " is '" + *text +
                                              "'; write a date such as \"2026-01-01\"");
        }
    }
    const auto count = report_.count();
    ladder(section, out);
    tiers(section, out);
    const bool tiers_sound = report_.count() == count;
    const auto before_bands = report_.count();
    bands(section, out);
    const bool bands_sound = report_.count() == before_bands;
    per_person(section, out);
    fixed(section, out);
    out.minimum = Fen{decimal(section, "minimum", 2, 0, kFeeMax.count).value_or(0)};
    out.quantity_step = Milli{decimal(section, "quantity_step", 3, 1, kLimitMax).value_or(1)};
    // Only of parts that are sound: what follows from a broken one is no news.
    if (tiers_sound) {
        judge_tiers(section, out);
    }
    if (bands_sound) {
        judge_bands(section, out);
    }
    if (dated && !tariff.versions.empty() && tariff.versions.back().valid_from >= out.valid_from) {
        section.problem("valid_from", section.path("valid_from") + " " +
                                          format_date(out.valid_from) + " must come after " +
                                          format_date(tariff.versions.back().valid_from) +
                                          " of the version before");
    }
    tariff.versions.push_back(std::move(out));
}

void Reader::ladder(Section& section, TariffVersion& out) {
    if (!section.has("ladder")) {
        section.missing("ladder", "write none, month or year");
    }
    if (const auto ladder = section.choice("ladder", {"none", "month", "year"})) {
        out.ladder = static_cast<LadderPeriod>(*ladder);
    }
    const auto from = section.text("ladder_from");
    if (!from) {
        return;
    }
    // A leap year, so that February 29 may be asked for.
    const auto date = from->size() == 5 ? parse_date("2000-" + *from) : std::nullopt;
    if (!date) {
        section.problem("ladder_from", section.path("ladder_from") + " is '" + *from +
                                           "'; write month and day such as \"01-01\"");
        return;
    }
    out.ladder_from_month = date->month;
    out.ladder_from_day = date->day;
    if (out.ladder != LadderPeriod::year) {
        warnings_.add(section.at("ladder_from"),
                      section.path("ladder_from") + " has no effect unless ladder is year");
    }
}

std::vector<int> Reader::months(Section& section) {
    std::vector<int> out;
    const auto* items = section.array("months", 12);
    if (items == nullptr) {
        return out;
    }
    for (const auto& item : *items) {
        const auto* month = item.as_integer();
        if (month == nullptr || month->get() < 1 || month->get() > 12 ||
            std::find(out.begin(), out.end(), month->get()) != out.end()) {
            report_.add(
                toml_reader::position_of(item),
                section.path("months") + " must hold whole numbers from 1 to 12, each once");
            continue;
        }
        out.push_back(static_cast<int>(month->get()));
    }
    if (items->empty()) {
        section.problem("months", section.path("months") + " is empty; leave it out instead");
    }
    std::sort(out.begin(), out.end());
    return out;
}

void Reader::tiers(Section& section, TariffVersion& out) {
    const bool with_bands = section.has("bands");
    if (!section.has("tiers") && !with_bands) {
        section.missing("tiers", "a version needs tiers or bands");
    }
    each_table(section, "tiers", kTiersMax, [&](Section& item) {
        Tier tier;
        tier.months = months(item);
        if (const auto limit = decimal(item, "up_to", 3, 1, kLimitMax)) {
            tier.up_to = Milli{*limit};
        }
        const auto price = decimal(item, "price", 8, 0, kPriceMax.count);
        const auto adder = decimal(item, "adder", 8, 0, kPriceMax.count);
        if (with_bands && item.has("price")) {
            item.problem("price", "beside bands a tier carries adder alone; the bands have prices");
        } else if (with_bands && !item.has("adder")) {
            item.missing("adder", "beside bands each tier carries one");
        } else if (!with_bands && item.has("adder")) {
            item.problem("adder", "adder goes with bands; a tier without bands has a price");
        } else if (!with_bands && !item.has("price")) {
            item.missing("price");
        }
        tier.price = Price{price.value_or(0)};
        tier.adder = Price{adder.value_or(0)};
        out.tiers.push_back(std::move(tier));
    });
    if (section.has("tiers") && section.raw()["tiers"].is_array() &&
        section.raw()["tiers"].as_array()->empty()) {
        section.problem("tiers", section.path("tiers") + " is empty");
    }
}

void Reader::bands(Section& section, TariffVersion& out) {
    const auto clock = [](Section& item, std::string_view key, bool end) {
        const auto text = item.required_text(key);
        const auto minute = text ? toml_reader::parse_clock(*text, end) : std::nullopt;
        if (text && !minute) {
            item.problem(key,
                         item.path(key) + " is '" + *text + "'; write a time such as \"08:00\"");
        }
        return minute.value_or(0);
    };
    each_table(section, "bands", kTiersMax, [&](Section& item) {
        Band band;
        band.name = item.required_text("name").value_or("");
        if (!is_price_name(band.name) && item.has("name")) {
            item.problem("name", item.path("name") + " is '" + band.name + "'; " + kPriceName);
        }
        if (band.name == kMinimumBand) {
            item.problem("name", item.path("name") + " is '" + band.name +
                                     "', which names the line of a month's minimum; give the band "
                                     "another name");
        }
        const auto before = report_.count();
        band.from_minute = clock(item, "from", /*end=*/false);
        band.to_minute = clock(item, "to", /*end=*/true);
        if (report_.count() == before && band.from_minute == band.to_minute) {
            item.problem("to",
                         "the band begins and ends at the same time; a whole day is "
                         "00:00 to 24:00");
        }
        band.months = months(item);
        if (const auto days = item.choice("days", {"all", "workday", "weekend", "holiday"})) {
            band.days = static_cast<BandDays>(*days);
        }
        if (!item.has("price")) {
            item.missing("price");
        }
        band.price = Price{decimal(item, "price", 8, 0, kPriceMax.count).value_or(0)};
        out.bands.push_back(std::move(band));
    });
    if (section.has("bands") && section.raw()["bands"].is_array() &&
        section.raw()["bands"].as_array()->empty()) {
        section.problem("bands", section.path("bands") + " is empty; leave it out instead");
    }
}

void Reader::fixed(Section& section, TariffVersion& out) {
    std::set<std::string> names;
    each_table(section, "fixed", kTiersMax, [&](Section& item) {
        FixedFee fee;
        fee.name = item.required_text("name").value_or("");
        if (item.has("name") && (!is_price_name(fee.name) || !names.insert(fee.name).second)) {
            item.problem("name", item.path("name") + " is '" + fee.name + "'; " + kPriceName +
                                     ", each name once");
        }
        if (!item.has("per")) {
            item.missing("per", "write month or day");
        }
        if (const auto per = item.choice("per", {"month", "day"})) {
            fee.per = static_cast<FeePeriod>(*per);
        }
        if (!item.has("amount")) {
            item.missing("amount");
        }
        fee.amount = Fen{decimal(item, "amount", 2, 0, kFeeMax.count).value_or(0)};
        out.fixed.push_back(std::move(fee));
    });
}

void Reader::per_person(Section& section, TariffVersion& out) {
    const auto* table = section.table("per_person");
    if (table == nullptr) {
        return;
    }
    Section item(*table, section.path("per_person"), section.at("per_person"), report_);
    PerPerson value;
    if (!item.has("from")) {
        item.missing("from", "from how many persons on the limits rise");
    }
    value.from = static_cast<int>(item.integer("from", 1, 99).value_or(1));
    if (!item.has("up_to_plus")) {
        item.missing("up_to_plus");
    }
    value.up_to_plus = Milli{decimal(item, "up_to_plus", 3, 1, kLimitMax).value_or(1)};
    item.finish();
    out.per_person = value;
}

void Reader::judge_tiers(Section& section, const TariffVersion& out) {
    if (auto problem = tier_problem(out); !problem.empty()) {
        section.problem("tiers", section.path("tiers") + ": " + problem);
    }
    const bool has_limit = std::any_of(out.tiers.begin(), out.tiers.end(),
                                       [](const Tier& tier) { return tier.up_to.has_value(); });
    if (out.per_person && !has_limit) {
        warnings_.add(section.at("per_person"),
                      section.path("per_person") + " has no effect: no tier has a limit");
    }
}

void Reader::judge_bands(Section& section, const TariffVersion& out) {
    if (out.bands.empty()) {
        return;
    }
    if (auto problem = band_problem(out.bands); !problem.empty()) {
        section.problem("bands", section.path("bands") + ": " + problem);
    }
    if (out.quantity_step != Milli{1}) {
        section.problem("quantity_step",
                        section.path("quantity_step") + " does not go with bands; leave it out");
    }
}

}  // namespace

TariffFile read_tariffs(const std::string& file, std::string_view text) {
    TariffFile out;
    Reader(file, out).run(text);
    return out;
}

}  // namespace gatehouse::registry_files
