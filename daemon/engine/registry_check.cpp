#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "daemon/config/toml_reader.hpp"
#include "daemon/core/key_custody.hpp"
#include "daemon/core/pool.hpp"
#include "daemon/engine/registry_charging.hpp"
#include "daemon/engine/registry_fields.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse::registry_files {
namespace {

std::string in_quotes(const std::string& text) {
    return "'" + text + "'";
}

class Checker {
  public:
    Checker(const Registry& registry, const Known& known, const Places& places,
            const std::set<Table>& partial, Checked& out)
        : registry_(registry),
          index_(registry),
          known_(known),
          places_(places),
          partial_(partial),
          out_(out) {}

    void run() {
        for (const Unit& unit : registry_.units) {
            reference(Table::units, unit.unit, "collector", unit.collector, Table::staff);
        }
        for (const Person& person : registry_.people) {
            reference(Table::people, person.person, "unit", person.unit, Table::units);
        }
        meters();
        accounts();
        charging();
        pools();
        staff();
        keys();
    }

  private:
    void add(std::vector<Problem>& into, Table table, const std::string& id, const char* column,
             std::string message) {
        Problem problem;
        const auto place = places_.find(std::pair(table, id));
        if (place == places_.end()) {
            problem.file = table == Table::tariffs ? "tariffs/" + id + ".toml"
                                                   : std::string(columns_of(table).file);
        } else {
            problem.file = place->second.file;
            problem.line = place->second.line;
            const auto at = place->second.columns.find(std::string_view(column));
            problem.column = at == place->second.columns.end() ? 1 : at->second;
        }
        problem.message = std::move(message);
        into.push_back(std::move(problem));
    }
    void problem(Table table, const std::string& id, const char* column, std::string message) {
        add(out_.problems, table, id, column, std::move(message));
    }
    void warning(Table table, const std::string& id, const char* column, std::string message) {
        add(out_.warnings, table, id, column, std::move(message));
    }

    static const char* word_of(Table table) {
        switch (table) {
            case Table::units:
                return "unit";
            case Table::people:
                return "person";
            case Table::meters:
                return "meter";
            case Table::accounts:
                return "account";
            case Table::tariffs:
                return "tariff";
            case Table::pools:
                return "pool";
            case Table::calendar:
                return "date";
            case Table::staff:
                return "staff";
            case Table::keys:
                return "key";
        }
        return "";
    }

    // True where one of these columns of a row could not be read: what rests on it is no news.
    [[nodiscard]] bool lacks(Table table, const std::string& id,
                             std::initializer_list<std::string_view> columns) const {
        const auto place = places_.find(std::pair(table, id));
        return place != places_.end() &&
               std::any_of(columns.begin(), columns.end(),
                           [&](std::string_view column) { return place->second.lacks(column); });
    }

    // True where `value` is empty or names a row of `target`.
    bool reference(Table table, const std::string& id, const char* column, const std::string& value,
                   Table target) {
        if (value.empty() || index_.has(target, value)) {
            return true;
        }
        if (partial_.contains(target)) {
            return false;
        }
        problem(table, id, column,
                std::string(word_of(table)) + " " + in_quotes(id) + ": there is no " +
                    word_of(target) + " " + in_quotes(value) +
                    toml_reader::did_you_mean(value, index_.ids(target)));
        return false;
    }
    // The same of a list that the configuration gives.
    void configured(Table table, const std::string& id, const char* column,
                    const std::string& value, const std::optional<std::vector<std::string>>& list) {
        if (value.empty() || !list || std::find(list->begin(), list->end(), value) != list->end()) {
            return;
        }
        problem(table, id, column,
                std::string(word_of(table)) + " " + in_quotes(id) + ": the configuration has no " +
                    column + " " + in_quotes(value) + toml_reader::did_you_mean(value, *list));
    }

    void meters() {
        // A meter without a channel is read as one with the first.
        std::map<std::tuple<std::string, int, int>, std::string> places;
        for (const Meter& meter : registry_.meters) {
            const auto& id = meter.meter;
            reference(Table::meters, id, "unit", meter.unit, Table::units);
            configured(Table::meters, id, "bus", meter.bus, known_.buses);
            parent(meter);
            profile(meter);
            if (meter.address && meter.status == MeterStatus::active &&
                !lacks(Table::meters, id, {"bus", "address", "channel", "status"})) {
                const auto [first, fresh] = places.emplace(
                    std::tuple(meter.bus, *meter.address, meter.channel.value_or(0)), id);
                if (!fresh) {
                    problem(Table::meters, id, "address",
                            "meter " + in_quotes(id) + " stands at bus " + in_quotes(meter.bus) +
                                " address " + std::to_string(*meter.address) +
                                (meter.channel ? " channel " + std::to_string(*meter.channel)
                                               : std::string()) +
                                ", where meter " + in_quotes(first->second) + " is already");
                }
            }
            if (meter.role == MeterRole::unit && meter.unit.empty() && meter.account.empty() &&
                meter.status == MeterStatus::active &&
                !lacks(Table::meters, id, {"role", "unit", "account", "status"})) {
                problem(Table::meters, id, "unit",
                        "meter " + in_quotes(id) +
                            " has role unit but neither unit nor account; name its unit, or "
                            "give it the role main, public or check");
            }
        }
    }

    void parent(const Meter& meter) {
        if (!reference(Table::meters, meter.meter, "parent", meter.parent, Table::meters)) {
            return;
        }
        const Meter* above = index_.meter(meter.parent);
        if (above != nullptr && above->service != meter.service &&
            !lacks(Table::meters, meter.meter, {"service"}) &&
            !lacks(Table::meters, above->meter, {"service"})) {
            problem(Table::meters, meter.meter, "parent",
                    "meter " + in_quotes(meter.meter) + " counts " + to_string(meter.service) +
                        ", but its parent " + in_quotes(above->meter) + " " +
                        to_string(above->service));
        }
        std::set<std::string> seen{meter.meter};
        for (; above != nullptr; above = index_.meter(above->parent)) {
            if (!seen.insert(above->meter).second) {
                if (above->meter == meter.meter) {
                    problem(Table::meters, meter.meter, "parent",
                            "meter " + in_quotes(meter.meter) + " is above itself through " +
                                in_quotes(meter.parent));
                }
                return;
            }
        }
    }

    // Never more than a warning: one unread meter must not keep a house from being imported.
    void profile(const Meter& meter) {
        if (meter.profile.empty()) {
            if (!meter.bus.empty() && meter.status == MeterStatus::active &&
                !lacks(Table::meters, meter.meter, {"profile", "status"})) {
                warning(Table::meters, meter.meter, "profile",
                        "meter " + in_quotes(meter.meter) +
                            " has a bus but no profile; it will not be read");
            }
            return;
        }
        if (std::string fault; known_.channel_fault &&
                               !(fault = known_.channel_fault(meter)).empty() &&
                               !lacks(Table::meters, meter.meter, {"profile", "channel"})) {
            problem(Table::meters, meter.meter, "channel",
                    "meter " + in_quotes(meter.meter) + ": " + fault);
            return;
        }
        const auto& names = known_.profiles;
        const bool listed =
            names && std::find(names->begin(), names->end(), meter.profile) != names->end();
        std::string fault;
        if (known_.profile_fault)
            fault = known_.profile_fault(meter);
        else if (names && !listed)
            fault = "there is no profile " + in_quotes(meter.profile) +
                    toml_reader::did_you_mean(meter.profile, *names);
        if (fault.empty()) {
            ratio(meter);
            return;
        }
        warning(Table::meters, meter.meter, "profile",
                "meter " + in_quotes(meter.meter) + " will not be read: " + fault);
    }

    // A warning: a meter whose own ratio was left at 1 may well need the registry's.
    void ratio(const Meter& meter) {
        if (meter.multiplier == "1" || !known_.profile_primary) return;
        if (!known_.profile_primary(meter.profile)) return;
        warning(Table::meters, meter.meter, "multiplier",
                "meter " + in_quotes(meter.meter) + " has the multiplier " + meter.multiplier +
                    ", but the register of profile " + in_quotes(meter.profile) +
                    " has the meter's transformers in it already; unless the meter's own ratio "
                    "is set to 1, write 1 here, or they count twice");
    }

    void accounts() {
        std::map<std::pair<std::string, Service>, std::string> open;
        for (const Account& account : registry_.accounts) {
            const auto& id = account.account;
            reference(Table::accounts, id, "unit", account.unit, Table::units);
            reference(Table::accounts, id, "holder", account.holder, Table::people);
            account_tariffs(account);
            if (account.opening_ladder.size() > account.tariffs.size() &&
                !lacks(Table::accounts, id, {"tariff", "opening_ladder"})) {
                problem(Table::accounts, id, "opening_ladder",
                        "account " + in_quotes(id) + " has " +
                            std::to_string(account.opening_ladder.size()) +
                            " opening_ladder quantities for " +
                            std::to_string(account.tariffs.size()) + " tariffs");
            }
            for (const Service service : kServices) {
                if (account.unit.empty() || !account.closed.empty() || !covers(account, service) ||
                    lacks(Table::accounts, id, {"unit", "service", "closed"})) {
                    continue;
                }
                const auto [first, fresh] = open.emplace(std::pair(account.unit, service), id);
                if (!fresh) {
                    problem(Table::accounts, id, "unit",
                            "unit " + in_quotes(account.unit) + " has the open account " +
                                in_quotes(first->second) + " for " + to_string(service) +
                                " already; leave the unit of account " + in_quotes(id) +
                                " empty and name it at its meters, or close the other");
                }
            }
        }
    }

    void account_tariffs(const Account& account) {
        std::vector<Service> services;
        for (const Service service : kServices) {
            if (covers(account, service)) {
                services.push_back(service);
            }
        }
        if (lacks(Table::accounts, account.account, {"service", "tariff"})) {
            for (const std::string& name : account.tariffs) {
                reference(Table::accounts, account.account, "tariff", name, Table::tariffs);
            }
            return;
        }
        if (account.tariffs.size() != services.size()) {
            problem(Table::accounts, account.account, "tariff",
                    "account " + in_quotes(account.account) + " covers " +
                        std::to_string(services.size()) + " services but names " +
                        std::to_string(account.tariffs.size()) +
                        " tariffs; write one for each, electricity first, with ';' between");
            return;
        }
        for (std::size_t i = 0; i < services.size(); ++i) {
            tariff(Table::accounts, account.account, account.tariffs[i], services[i], account.unit);
        }
    }

    // That the tariff is there, prices that service, and may be used for that unit.
    void tariff(Table table, const std::string& id, const std::string& name, Service service,
                const std::string& unit_id) {
        if (name.empty() || !reference(table, id, "tariff", name, Table::tariffs)) {
            return;
        }
        const Tariff& found = *index_.tariff(name);
        const std::string subject = std::string(word_of(table)) + " " + in_quotes(id);
        if (found.service != service && !lacks(Table::tariffs, name, {"service"}) &&
            !lacks(table, id, {"service"})) {
            problem(table, id, "tariff",
                    subject + ": tariff " + in_quotes(name) + " prices " +
                        to_string(found.service) + ", but " + to_string(service) +
                        " stands in its place");
        }
        const Unit* unit = index_.unit(unit_id);
        if (unit != nullptr && !found.uses.empty() && !lacks(Table::units, unit_id, {"use"}) &&
            !lacks(Table::tariffs, name, {"uses"}) &&
            std::find(found.uses.begin(), found.uses.end(), unit->use) == found.uses.end()) {
            problem(table, id, "tariff",
                    subject + ": tariff " + in_quotes(name) + " is not for the use " +
                        to_string(unit->use) + " of unit " + in_quotes(unit_id));
        }
    }

    void charging() {
        for (const Meter& meter : registry_.meters) {
            tariff(Table::meters, meter.meter, meter.tariff, meter.service, meter.unit);
            if (!reference(Table::meters, meter.meter, "account", meter.account, Table::accounts) ||
                meter.account.empty()) {
                continue;
            }
            const Account& account = *index_.account(meter.account);
            const std::string subject =
                "meter " + in_quotes(meter.meter) + " names account " + in_quotes(meter.account);
            if (lacks(Table::accounts, meter.account, {"service", "tariff", "closed", "unit"}) ||
                lacks(Table::meters, meter.meter, {"service", "tariff", "status", "unit"})) {
                continue;
            }
            if (!covers(account, meter.service)) {
                problem(Table::meters, meter.meter, "account",
                        subject + ", which does not cover " + to_string(meter.service));
            } else if (!account.closed.empty() && meter.status == MeterStatus::active) {
                problem(Table::meters, meter.meter, "account",
                        subject + ", which is closed; name an open one or none");
            } else if (const Unit* unit = index_.unit(meter.unit);
                       meter.tariff.empty() && account.unit != meter.unit && unit != nullptr) {
                const auto name = tariff_of(account, meter.service);
                tariff(Table::meters, meter.meter, name, meter.service, meter.unit);
            }
        }
    }

    void pools() {
        for (const Pool& pool : registry_.pools) {
            pool_meters(pool, "main", pool.main);
            pool_meters(pool, "subs", pool.subs);
            for (const auto& meter : pool.main) {
                if (std::find(pool.subs.begin(), pool.subs.end(), meter) != pool.subs.end()) {
                    problem(Table::pools, pool.pool, "subs",
                            "pool " + in_quotes(pool.pool) + ": meter " + in_quotes(meter) +
                                " is both main and sub");
                }
            }
            for (const auto& [column, ids] :
                 {std::pair{"main", &pool.main}, std::pair{"subs", &pool.subs},
                  std::pair{"members", &pool.members}})
                once(pool, column, *ids);
            for (const auto& member : pool.members) {
                const Unit* unit = index_.unit(member);
                if (reference(Table::pools, pool.pool, "members", member, Table::units) &&
                    pool.share == PoolShare::area && unit != nullptr &&
                    unit->area_centi.value_or(0) == 0 && !lacks(Table::units, member, {"area"}) &&
                    !lacks(Table::pools, pool.pool, {"share"})) {
                    problem(Table::pools, pool.pool, "members",
                            "pool " + in_quotes(pool.pool) + " shares by area, but unit " +
                                in_quotes(member) + " has none; fill its area");
                }
            }
            tariff(Table::pools, pool.pool, pool.tariff, pool.service, "");
            const auto priced =
                std::find_if(registry_.tariffs.begin(), registry_.tariffs.end(),
                             [&](const Tariff& one) { return one.tariff == pool.tariff; });
            const std::string fault =
                priced == registry_.tariffs.end() ? std::string() : pool_tariff_fault(*priced);
            if (!fault.empty())
                warning(Table::pools, pool.pool, "tariff",
                        "pool " + in_quotes(pool.pool) + " cannot be shared: " + fault);
        }
    }

    // A meter that counts twice, or a unit that pays twice.
    void once(const Pool& pool, const char* column, const std::vector<std::string>& ids) {
        std::set<std::string> seen;
        for (const std::string& id : ids)
            if (!seen.insert(id).second)
                problem(Table::pools, pool.pool, column,
                        "pool " + in_quotes(pool.pool) + ": " + in_quotes(id) +
                            " stands twice; name it once");
    }

    void pool_meters(const Pool& pool, const char* column, const std::vector<std::string>& ids) {
        for (const auto& id : ids) {
            const Meter* meter = index_.meter(id);
            if (reference(Table::pools, pool.pool, column, id, Table::meters) && meter != nullptr &&
                meter->service != pool.service && !lacks(Table::meters, id, {"service"}) &&
                !lacks(Table::pools, pool.pool, {"service"})) {
                problem(Table::pools, pool.pool, column,
                        "pool " + in_quotes(pool.pool) + " is for " + to_string(pool.service) +
                            ", but meter " + in_quotes(id) + " counts " +
                            to_string(meter->service));
            }
        }
    }

    void staff() {
        std::map<std::string, std::string> cards;
        for (const Staff& person : registry_.staff) {
            for (const auto& card : person.cards) {
                const auto [first, fresh] = cards.emplace(card, person.staff);
                if (!fresh) {
                    // The card's own number is as good as a key, so it is not printed.
                    problem(Table::staff, person.staff, "cards",
                            "staff " + in_quotes(person.staff) + " and " +
                                in_quotes(first->second) + " have the same card; one must go");
                }
            }
        }
    }

    // A house may list its keys before it has a cabinet; that its events will not come is said.
    void cabinet(const Key& key, std::set<std::string>& told) {
        if (key.cabinet.empty() || !known_.cabinets || !known_.cabinets->empty()) {
            configured(Table::keys, key.key, "cabinet", key.cabinet, known_.cabinets);
            return;
        }
        if (!told.insert(key.cabinet).second) return;
        warning(Table::keys, key.key, "cabinet",
                "key " + in_quotes(key.key) + " is in cabinet " + in_quotes(key.cabinet) +
                    ", but the configuration has no [[cabinet]]: nothing will be heard of it");
    }

    void keys() {
        std::map<std::pair<std::string, int>, std::string> slots;
        std::map<std::string, std::string> tags;
        std::set<std::string> told;
        for (const Key& key : registry_.keys) {
            cabinet(key, told);
            if (key.slot && !lacks(Table::keys, key.key, {"cabinet"})) {
                const auto [first, fresh] =
                    slots.emplace(std::pair(key.cabinet, *key.slot), key.key);
                if (!fresh) {
                    problem(Table::keys, key.key, "slot",
                            "key " + in_quotes(key.key) + " and " + in_quotes(first->second) +
                                " have the same slot " + std::to_string(*key.slot) +
                                " of cabinet " + in_quotes(key.cabinet));
                }
            }
            if (!key.tag.empty()) {
                const auto [first, fresh] = tags.emplace(tag_name(key.tag), key.key);
                if (!fresh) {
                    problem(Table::keys, key.key, "tag",
                            "key " + in_quotes(key.key) + " and " + in_quotes(first->second) +
                                " have the same tag; letters count alike in either case");
                }
            }
        }
    }

    const Registry& registry_;
    Index index_;
    const Known& known_;
    const Places& places_;
    const std::set<Table>& partial_;
    Checked& out_;
};

}  // namespace

Checked check(const Registry& merged, const Known& known, const Places& places,
              const std::set<Table>& partial) {
    Checked out;
    Checker(merged, known, places, partial, out).run();
    arrange_problems(out.problems);
    arrange_problems(out.warnings);
    return out;
}

}  // namespace gatehouse::registry_files
