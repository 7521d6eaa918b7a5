#include "tests/simulation/money_plan.hpp"

#include <algorithm>

#include "tests/simulation/money_own.hpp"

namespace gatehouse::money {
namespace {

std::string draw_price(Dice& dice, std::int64_t low_fen, std::int64_t high_fen) {
    // Eight places as Guangzhou publishes them, or four, or two.
    const std::int64_t price = dice.from_to(low_fen * 1'000'000, high_fen * 1'000'000);
    const std::int64_t step = dice.pick(std::vector<std::int64_t>{1, 10'000, 1'000'000});
    return decimal_of(price / step * step, 8);
}

// Limits that a home passes within the days that are watched.
void draw_tiers(Dice& dice, PlanVersion& version, bool water, const std::vector<int>& months) {
    std::int64_t low = water ? 150 : 35;
    if (version.ladder == "none") {
        version.tiers.push_back({"", draw_price(dice, low, 4 * low), months});
        return;
    }
    std::int64_t limit = 0;
    const int tiers = static_cast<int>(dice.from_to(2, 4));
    for (int i = 0; i + 1 < tiers; ++i) {
        limit += water ? dice.from_to(1'000, 6'000) : dice.from_to(10'000, 120'000);
        version.tiers.push_back({decimal_of(limit, 3), draw_price(dice, low, 2 * low), months});
        low += low / 2;
    }
    version.tiers.push_back({"", draw_price(dice, low, 2 * low), months});
}

// Shapes of the day as they are published: two bands, six windows of three names, workdays apart
// from the rest, or bands in summer alone.
void draw_bands(Dice& dice, PlanVersion& version, std::int64_t from_day) {
    const std::string peak = draw_price(dice, 60, 120), flat = draw_price(dice, 40, 70),
                      valley = draw_price(dice, 10, 40), quiet = draw_price(dice, 10, 40);
    const int six = static_cast<int>(dice.below(60));
    const std::int64_t shape = dice.below(4);
    if (shape == 0) {
        // Half past two is an hour that a summer lacks and a winter has twice.
        const int morning = dice.one_in(4) ? 150 : 480;
        version.bands = {{"peak", morning, 1'320 + six, {}, "", peak},
                         {"valley", 1'320 + six, morning, {}, "", valley}};
    } else if (shape == 1) {
        version.bands = {
            {"flat", 420, 630, {}, "", flat},     {"sharp", 630, 690, {}, "", peak},
            {"flat", 690, 1'140, {}, "", flat},   {"sharp", 1'140, 1'260, {}, "", peak},
            {"flat", 1'260, 1'380, {}, "", flat}, {"valley", 1'380, 420, {}, "", valley}};
    } else if (shape == 2) {
        version.bands = {{"peak", 480 + six, 1'320, {}, "workday", peak},
                         {"valley", 1'320, 480 + six, {}, "workday", valley},
                         {"valley", 0, 1'440, {}, "weekend", valley},
                         {"holiday", 0, 1'440, {}, "holiday", quiet}};
    } else {
        const int month = civil_of(from_day + dice.below(40)).month;
        std::vector<int> summer, rest;
        for (int one = 1; one <= 12; ++one)
            (one == month || one == month % 12 + 1 ? summer : rest).push_back(one);
        version.bands = {{"peak", 600, 1'080, summer, "", peak},
                         {"valley", 1'080, 600, summer, "", valley},
                         {"flat", 0, 1'440, rest, "", flat}};
    }
    // Beside bands a tier carries what it adds, which may be nothing in the first.
    for (PlanTier& tier : version.tiers) tier.price = draw_price(dice, 0, 30);
    if (!version.tiers.empty() && dice.percent(50)) version.tiers.front().price = "0.00";
    if (version.ladder == "none" && dice.percent(50)) version.tiers.clear();
}

void draw_extras(Dice& dice, PlanVersion& version, bool water) {
    if (dice.percent(35))
        version.fees.push_back({"service", "month", decimal_of(dice.from_to(1, 900), 2)});
    if (dice.percent(20))
        version.fees.push_back({"meter", "day", decimal_of(dice.from_to(1, 30), 2)});
    if (dice.percent(30)) version.minimum = decimal_of(dice.from_to(1, 6'000), 2);
    if (version.bands.empty() && dice.percent(water ? 50 : 25))
        version.quantity_step = dice.pick(std::vector<std::string>{"1", "0.5", "0.1", "0.007"});
    if (version.ladder != "none" && dice.percent(40)) {
        version.persons_from = static_cast<int>(dice.from_to(2, 6));
        version.persons_plus = decimal_of(dice.from_to(500, water ? 2'000 : 20'000), 3);
    }
}

PlanVersion draw_version(Dice& dice, const std::string& ladder, const std::string& tariff,
                         std::int64_t from_day) {
    const bool water = tariff.rfind("w-", 0) == 0;
    PlanVersion version;
    version.from_day = from_day;
    version.ladder = ladder;
    if (ladder != "year" && dice.percent(30)) {
        // A season that begins or ends about now.
        const int month = civil_of(from_day + dice.below(60)).month;
        draw_tiers(dice, version, water, {month, month % 12 + 1, (month + 6) % 12 + 1});
        for (PlanTier& tier : version.tiers) std::sort(tier.months.begin(), tier.months.end());
    }
    draw_tiers(dice, version, water, {});
    if (tariff == "e-time" ? dice.percent(85) : !water && dice.percent(5))
        draw_bands(dice, version, from_day);
    draw_extras(dice, version, water);
    return version;
}

PlanTariff draw_tariff(Dice& dice, const std::string& id, const std::string& service,
                       const std::string& ladder, std::int64_t first_day, int days) {
    PlanTariff tariff{id, service, {}};
    tariff.versions.push_back(draw_version(dice, ladder, id, first_day - 400));
    if (ladder == "year") {
        const Civil from = civil_of(first_day + dice.below(days + 30) - 15);
        tariff.versions[0].year_month = from.month;
        tariff.versions[0].year_day = std::min(from.day, 28);
    }
    if (dice.percent(60)) {
        // A version that is known from the start and comes into force while we watch.
        PlanVersion next = draw_version(dice, ladder, id, first_day + 2 + dice.below(days));
        next.year_month = tariff.versions[0].year_month;
        next.year_day = tariff.versions[0].year_day;
        tariff.versions.push_back(std::move(next));
    }
    return tariff;
}

std::string two_places(std::int64_t fen) {
    return decimal_of(fen, 2);
}

const std::vector<std::string> kElectricity{"e-flat", "e-month", "e-year", "e-shop", "e-time"};
const std::vector<std::string> kWater{"w-flat", "w-year"};

struct Drawing {
    Dice& dice;
    Plan& plan;
    std::int64_t first_day;
    int days;
    int addresses = 0;
    void meter(const std::string& unit, const std::string& service) {
        PlanMeter meter;
        meter.id = (service == "water" ? "w-" : "e-") + std::to_string(++addresses);
        meter.unit = unit;
        meter.service = service;
        meter.address = addresses;
        meter.profile = service == "water" ? "litres" : dice.percent(50) ? "serial" : "rolls";
        if (dice.percent(15))
            meter.multiplier = dice.pick(std::vector<std::string>{"0.12345", "1.5", "40", "0.1"});
        if (unit.size() % 2 == 0 && service != "water" && dice.percent(20))
            meter.tariff = dice.pick(kElectricity);
        plan.meters.push_back(std::move(meter));
    }
    PlanAccount account(const std::string& id, const std::string& unit,
                        const std::string& service) {
        PlanAccount account;
        account.id = id;
        account.unit = unit;
        account.service = service;
        if (service != "water") account.tariffs.push_back(dice.pick(kElectricity));
        if (service != "electricity") account.tariffs.push_back(dice.pick(kWater));
        if (dice.percent(70)) account.opening_balance = two_places(dice.from_to(-2'000, 20'000));
        if (dice.percent(40)) {
            for (const std::string& tariff : account.tariffs)
                account.opening_ladder.push_back(
                    decimal_of(dice.below(tariff[0] == 'w' ? 5'000 : 120'000), 3));
        }
        if (dice.percent(25)) account.overdraft = two_places(dice.from_to(1'000, 5'000));
        if (dice.percent(30)) account.hoarding_cap = two_places(dice.from_to(20'000, 60'000));
        if (dice.percent(12)) {
            account.billing = "internal";
            account.opening_balance = account.overdraft = account.hoarding_cap = "";
        }
        if (dice.percent(20)) account.live_day = first_day + 1 + dice.below(days / 2 + 1);
        return account;
    }
    void household(int number) {
        const std::string unit = "u-" + std::to_string(number);
        plan.units.push_back({unit, static_cast<int>(dice.from_to(1, 7))});
        const std::int64_t shape = dice.below(3);
        meter(unit, "electricity");
        if (dice.percent(35)) meter(unit, "electricity");
        if (shape != 2) meter(unit, "water");
        const std::string id = "a-" + std::to_string(number);
        if (shape == 0) {
            plan.accounts.push_back(account(id, unit, "all"));
        } else {
            plan.accounts.push_back(account(id, unit, "electricity"));
            if (shape == 1) plan.accounts.push_back(account(id + "w", unit, "water"));
        }
    }
};

void draw_openings(Dice& dice, Plan& plan) {
    for (PlanMeter& meter : plan.meters)
        if (dice.percent(25)) meter.opening_register = "?";  // the world says what the face shows
}

bool change_tariff(Dice& dice, Plan& plan, std::int64_t today, std::string& said) {
    PlanTariff& tariff = plan.tariffs[static_cast<std::size_t>(
        dice.below(static_cast<std::int64_t>(plan.tariffs.size())))];
    if (tariff.versions.size() >= 5) return false;
    const std::int64_t from = std::max(today, tariff.versions.back().from_day) + dice.from_to(1, 6);
    const PlanVersion& last = tariff.versions.back();
    std::string ladder = last.ladder;
    if (dice.percent(25)) ladder = dice.pick(std::vector<std::string>{"none", "month", "year"});
    PlanVersion next = draw_version(dice, ladder, tariff.id, from);
    next.year_month = last.year_month;
    next.year_day = last.year_day;
    if (dice.percent(20)) next.year_month = next.year_month % 12 + 1;
    tariff.versions.push_back(std::move(next));
    said = "a version of " + tariff.id + " from " + text_of(civil_of(from));
    return true;
}

bool change_account(Dice& dice, Plan& plan, std::string& said) {
    PlanAccount& account = plan.accounts[static_cast<std::size_t>(
        dice.below(static_cast<std::int64_t>(plan.accounts.size())))];
    if (account.closed || (!account.opening_ladder.empty() && account.live_day)) return false;
    const bool water = account.service == "water";
    std::string& tariff = account.tariffs.front();
    const std::string before = tariff;
    tariff = dice.pick(water ? kWater : kElectricity);
    said = "the tariff of " + account.id + " is " + tariff;
    return tariff != before;
}

}  // namespace

Plan draw_plan(Dice& dice, int households, std::int64_t first_day, int days) {
    Plan plan;
    const auto tariff = [&](const char* id, const char* service, const char* ladder) {
        plan.tariffs.push_back(draw_tariff(dice, id, service, ladder, first_day, days));
    };
    tariff("e-flat", "electricity", "none");
    tariff("e-month", "electricity", "month");
    tariff("e-year", "electricity", "year");
    tariff("e-shop", "electricity", "none");
    tariff("e-time", "electricity",
           dice.pick(std::vector<std::string>{"none", "month", "year"}).c_str());
    tariff("w-flat", "water", "none");
    tariff("w-year", "water", "year");
    Drawing drawing{dice, plan, first_day, days};
    for (int i = 1; i <= households; ++i) drawing.household(i);
    draw_openings(dice, plan);
    for (int i = 0; i < days / 8; ++i)
        plan.special_days[first_day + dice.below(days)] = dice.percent(60) ? "holiday" : "workday";
    return plan;
}

std::string change_plan(Dice& dice, Plan& plan, std::int64_t today,
                        const std::vector<std::string>& steady_meters) {
    std::string said;
    const std::int64_t what = dice.below(100);
    if (what < 30) return change_tariff(dice, plan, today, said) ? said : "";
    if (what < 60) return change_account(dice, plan, said) ? said : "";
    if (what < 70) {
        PlanUnit& unit = plan.units[static_cast<std::size_t>(
            dice.below(static_cast<std::int64_t>(plan.units.size())))];
        unit.persons = unit.persons % 9 + 1;
        return "persons of " + unit.id;
    }
    if (steady_meters.empty()) return "";
    const std::string& id = dice.pick(steady_meters);
    for (PlanMeter& meter : plan.meters) {
        if (meter.id != id) continue;
        if (what < 85) {
            meter.multiplier = dice.pick(std::vector<std::string>{"1", "0.5", "1.25", "30"});
            return "the multiplier of " + id + " is " + meter.multiplier;
        }
        // Another household pays for it: the wires are crossed, or a shop took a room over.
        std::vector<std::string> payers;
        for (const PlanAccount& account : plan.accounts)
            if (!account.closed && (account.service == "all" || account.service == meter.service))
                payers.push_back(account.id);
        if (payers.empty()) return "";
        meter.account = dice.pick(payers);
        return id + " is paid by " + meter.account;
    }
    return "";
}

std::optional<LateVersion> publish_late(Dice& dice, Plan& plan, std::int64_t today) {
    PlanTariff& tariff = plan.tariffs[static_cast<std::size_t>(
        dice.below(static_cast<std::int64_t>(plan.tariffs.size())))];
    if (tariff.versions.size() >= 8) return std::nullopt;
    const std::int64_t from = today - dice.from_to(0, 25);
    auto after = tariff.versions.begin();
    while (after != tariff.versions.end() && after->from_day <= from) ++after;
    if (after == tariff.versions.begin() || std::prev(after)->from_day == from) return std::nullopt;
    PlanVersion next = *std::prev(after);
    next.from_day = from;
    for (PlanTier& tier : next.tiers)
        tier.price = next.bands.empty() ? draw_price(dice, 20, 400) : draw_price(dice, 0, 60);
    std::map<std::string, std::string> price_of;  // one name, one price
    for (PlanBand& band : next.bands) {
        std::string& price = price_of[band.name];
        if (price.empty()) price = draw_price(dice, 20, 200);
        band.price = price;
    }
    // Bands that nobody took a freeze for.
    if (next.bands.empty() ? tariff.service == "electricity" && dice.percent(10)
                           : dice.percent(50)) {
        next.quantity_step.clear();
        draw_bands(dice, next, from);
    }
    if (dice.percent(40)) {
        const std::int64_t more = dice.from_to(1, 40'000);
        for (PlanTier& tier : next.tiers)
            if (!tier.up_to.empty())
                tier.up_to = decimal_of(floor_of(ratio_of(tier.up_to) * Ratio{1'000, 1}) + more, 3);
    }
    if (!next.minimum.empty()) next.minimum = decimal_of(dice.from_to(0, 3'000), 2);
    tariff.versions.insert(after, std::move(next));
    return LateVersion{tariff.id, from};
}

Plan without(Plan plan, const std::vector<LateVersion>& versions) {
    for (const LateVersion& late : versions)
        for (PlanTariff& tariff : plan.tariffs)
            if (tariff.id == late.tariff)
                std::erase_if(tariff.versions, [&](const PlanVersion& version) {
                    return version.from_day == late.from_day;
                });
    return plan;
}

const PlanTariff* Plan::tariff(const std::string& id) const {
    const auto found = std::find_if(tariffs.begin(), tariffs.end(),
                                    [&](const PlanTariff& one) { return one.id == id; });
    return found == tariffs.end() ? nullptr : &*found;
}

std::map<std::string, Terms> Plan::terms() const {
    std::map<std::string, Terms> all;
    for (const PlanMeter& meter : meters) {
        const PlanAccount* payer = nullptr;
        for (const PlanAccount& account : accounts) {
            if (account.closed) continue;
            const bool covers = account.service == "all" || account.service == meter.service;
            const bool named = account.id == meter.account;
            if (meter.account.empty() ? account.unit == meter.unit && covers : named)
                payer = &account;
        }
        Terms& terms = all[meter.id];
        terms.multiplier = meter.multiplier;
        if (payer == nullptr) continue;
        terms.account = payer->id;
        const bool second = payer->service == "all" && meter.service == "water";
        terms.tariff = !meter.tariff.empty() ? meter.tariff : payer->tariffs[second ? 1 : 0];
        for (const PlanUnit& unit : units)
            if (unit.id == payer->unit) terms.persons = unit.persons;
    }
    return all;
}

namespace {

std::string months_field(const std::vector<int>& months) {
    if (months.empty()) return "";
    std::string text = ", months = [";
    for (const int month : months) text += (text.back() == '[' ? "" : ", ") + std::to_string(month);
    return text + "]";
}

std::string clock_text(int minute) {
    const auto two = [](int value) { return (value < 10 ? "0" : "") + std::to_string(value); };
    return two(minute / 60) + ":" + two(minute % 60);
}

std::string tables(const std::string& name, const std::vector<std::string>& rows) {
    std::string text;
    for (const std::string& row : rows) text += (text.empty() ? " { " : ", { ") + row + " }";
    return rows.empty() ? "" : name + " = [" + text + " ]\n";
}

std::string toml_of(const PlanVersion& version) {
    std::string text = "[[tariff.version]]\nvalid_from = \"" + text_of(civil_of(version.from_day)) +
                       "\"\nladder = \"" + version.ladder + "\"\n";
    if (version.ladder == "year") {
        const Civil from{2000, version.year_month, version.year_day};
        text += "ladder_from = \"" + text_of(from).substr(5) + "\"\n";
    }
    const auto field = [&](const char* name, const std::string& value) {
        if (!value.empty()) text += std::string(name) + " = \"" + value + "\"\n";
    };
    field("minimum", version.minimum);
    field("quantity_step", version.quantity_step);
    if (version.persons_from != 0)
        text += "per_person = { from = " + std::to_string(version.persons_from) +
                ", up_to_plus = \"" + version.persons_plus + "\" }\n";
    std::vector<std::string> tiers, bands, fees;
    for (const PlanTier& tier : version.tiers)
        tiers.push_back((tier.up_to.empty() ? "" : "up_to = \"" + tier.up_to + "\", ") +
                        (version.bands.empty() ? "price" : "adder") + " = \"" + tier.price + "\"" +
                        months_field(tier.months));
    for (const PlanBand& band : version.bands)
        bands.push_back("name = \"" + band.name + "\", from = \"" + clock_text(band.from) +
                        "\", to = \"" + clock_text(band.to) + "\", price = \"" + band.price + "\"" +
                        (band.days.empty() ? "" : ", days = \"" + band.days + "\"") +
                        months_field(band.months));
    for (const PlanFee& fee : version.fees)
        fees.push_back("name = \"" + fee.name + "\", per = \"" + fee.per + "\", amount = \"" +
                       fee.amount + "\"");
    return text + tables("tiers", tiers) + tables("bands", bands) + tables("fixed", fees);
}

std::string toml_of(const PlanTariff& tariff) {
    std::string text = "[[tariff]]\nid = \"" + tariff.id + "\"\nservice = \"" + tariff.service +
                       "\"\nsource = \"the simulation\"\n";
    for (const PlanVersion& version : tariff.versions) text += toml_of(version);
    return text;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ";") + part;
    return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> Plan::files() const {
    std::string unit_rows = "unit,persons\n";
    for (const PlanUnit& unit : units)
        unit_rows += unit.id + "," + std::to_string(unit.persons) + "\n";
    std::string meter_rows =
        "meter,unit,service,bus,address,profile,multiplier,account,tariff,opening_register,"
        "opening_at\n";
    for (const PlanMeter& meter : meters)
        meter_rows += meter.id + "," + meter.unit + "," + meter.service + ",b1," +
                      std::to_string(meter.address) + "," + meter.profile + "," + meter.multiplier +
                      "," + meter.account + "," + meter.tariff + "," + meter.opening_register +
                      "," + meter.opening_at + "\n";
    std::string account_rows =
        "account,unit,service,tariff,billing,opening_balance,opening_ladder,live_from,overdraft,"
        "hoarding_cap\n";
    for (const PlanAccount& account : accounts)
        if (!account.closed)
            account_rows += account.id + "," + account.unit + "," + account.service + "," +
                            joined(account.tariffs) + "," + account.billing + "," +
                            account.opening_balance + "," + joined(account.opening_ladder) + "," +
                            (account.live_day ? text_of(civil_of(*account.live_day)) : "") + "," +
                            account.overdraft + "," + account.hoarding_cap + "\n";
    std::vector<std::pair<std::string, std::string>> all{
        {"units.csv", unit_rows},
        {"meters.csv", meter_rows},
        {"accounts.csv", account_rows},
        {"staff.csv", "staff,name,roles\ns-01,A,collector\ns-02,B,cashier\n"}};
    std::string persons = "person,kind,name\n";
    for (const std::string& person : people) persons += person + ",tenant,X\n";
    if (!people.empty()) all.emplace_back("people.csv", persons);
    std::string days = "date,kind\n";
    for (const auto& [day, kind] : special_days) days += text_of(civil_of(day)) + "," + kind + "\n";
    if (!special_days.empty()) all.emplace_back("calendar.csv", days);
    for (const PlanTariff& tariff : tariffs)
        all.emplace_back("tariffs/" + tariff.id + ".toml", toml_of(tariff));
    return all;
}

}  // namespace gatehouse::money
