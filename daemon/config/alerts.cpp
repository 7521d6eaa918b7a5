#include <string>

#include "daemon/config/reader.hpp"

namespace gatehouse::config {

using toml_reader::Section;

namespace {

constexpr int kDaysMax = 365;

void money(Section& section, std::string_view key, std::optional<Fen>& out) {
    const auto text = section.text(key);
    if (!text) {
        return;
    }
    const auto fen = parse_decimal(*text, 2);
    if (!fen || *fen < 0) {
        section.problem(key, section.path(key) + " is '" + *text +
                                 "'; write an amount that is not negative, such as \"50.00\"");
        return;
    }
    out = Fen{*fen};
}

void days(Section& section, std::string_view key, std::optional<int>& out) {
    if (const auto value = section.integer(key, 0, kDaysMax)) {
        out = static_cast<int>(*value);
    }
}

void read_amount_max_days(Section& section, AlertTable& table) {
    const auto* node = section.find("amount_max_days");
    if (node == nullptr) {
        return;
    }
    if (const auto* text = node->as_string()) {
        if (text->get() == "null" || text->get() == "never") {
            table.amount_max_days = std::optional<int>();
            return;
        }
        section.problem("amount_max_days",
                        section.path("amount_max_days") + " is '" + text->get() +
                            "'; write a number of days, or \"never\" for no limit");
        return;
    }
    std::optional<int> value;
    days(section, "amount_max_days", value);
    if (value) {
        table.amount_max_days = value;
    }
}

void read_table(Section& section, AlertTable& table) {
    money(section, "low_balance", table.low_balance);
    days(section, "low_days", table.low_days);
    money(section, "critical_balance", table.critical_balance);
    days(section, "critical_days", table.critical_days);
    money(section, "clear_margin", table.clear_margin);
    read_amount_max_days(section, table);
}

AlertTable over(const AlertTable& wide, const AlertTable& narrow) {
    AlertTable out = wide;
    const auto take = [](auto& into, const auto& from) {
        if (from) {
            into = from;
        }
    };
    take(out.low_balance, narrow.low_balance);
    take(out.low_days, narrow.low_days);
    take(out.critical_balance, narrow.critical_balance);
    take(out.critical_days, narrow.critical_days);
    return out;
}

// Level 2 above level 1 would skip level 1 for ever, so the pair is judged as it comes to hold.
void check_order(Section& section, const AlertTable& effective) {
    if (effective.critical_balance > effective.low_balance) {
        section.problem("critical_balance",
                        section.path("critical_balance") + " is " +
                            format(*effective.critical_balance) + ", above low_balance " +
                            format(*effective.low_balance) + "; lower it or raise the other");
    }
    if (effective.low_days != 0 && effective.critical_days > effective.low_days) {
        section.problem("critical_days",
                        section.path("critical_days") + " is " +
                            std::to_string(*effective.critical_days) + ", above low_days " +
                            std::to_string(*effective.low_days) + "; lower it or raise the other");
    }
}

void read_quiet_hours(Section& section, AlertSettings& out) {
    const auto text = section.text("quiet_hours");
    if (!text) {
        return;
    }
    if (*text == "none") {
        out.quiet_from_minute = 0;
        out.quiet_to_minute = 0;
        return;
    }
    const auto from = toml_reader::parse_clock(text->substr(0, 5), false);
    const auto to = text->size() == 11 && (*text)[5] == '-'
                        ? toml_reader::parse_clock(text->substr(6), true)
                        : std::nullopt;
    if (!from || !to || *from == *to % 1440) {
        section.problem("quiet_hours", "alerts.quiet_hours is '" + *text +
                                           "'; write two different times such as "
                                           "\"18:00-09:00\", or \"none\"");
        return;
    }
    out.quiet_from_minute = *from;
    out.quiet_to_minute = *to % 1440;
}

}  // namespace

void read_alerts(Section& root, Reading& reading) {
    AlertSettings& out = reading.config.alerts;
    out.base = {Fen{50'00}, Fen{10'00}, Fen{5'00}, 7, 3, std::optional<int>(30)};
    const auto* table = root.table("alerts");
    if (table == nullptr) {
        return;
    }
    Section base(*table, "alerts", root.at("alerts"), reading.report);
    read_table(base, out.base);
    read_quiet_hours(base, out);
    check_order(base, out.base);
    for (const char* service : {"electricity", "water", "all"}) {
        AlertTable by_service;
        const auto* service_table = base.table(service);
        if (service_table == nullptr) {
            continue;
        }
        Section section(*service_table, base.path(service), base.at(service), reading.report);
        read_table(section, by_service);
        const AlertTable effective = over(out.base, by_service);
        check_order(section, effective);
        for (const char* use : {"home", "shop", "common"}) {
            const auto* use_table = section.table(use);
            if (use_table == nullptr) {
                continue;
            }
            AlertTable by_use;
            Section narrow(*use_table, section.path(use), section.at(use), reading.report);
            read_table(narrow, by_use);
            check_order(narrow, over(effective, by_use));
            narrow.finish();
            out.overrides[std::string(service) + "." + use] = by_use;
        }
        section.finish();
        out.overrides[service] = by_service;
    }
    base.finish();
}

}  // namespace gatehouse::config
