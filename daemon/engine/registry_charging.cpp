#include "daemon/engine/registry_charging.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "daemon/core/tariff.hpp"
#include "daemon/engine/registry_fields.hpp"

namespace gatehouse::registry_files {
namespace {

template <class Row>
std::vector<std::string> keys_of(const std::map<std::string, const Row*>& rows) {
    std::vector<std::string> out;
    for (const auto& [id, row] : rows) {
        out.push_back(id);
    }
    return out;
}

// A main or check meter counts again what others count, so a unit's account pays for it only where
// the meter names that account itself.
bool charged_by_unit(const Meter& meter) {
    return meter.role == MeterRole::unit || meter.role == MeterRole::public_;
}

}  // namespace

Index::Index(const Registry& registry) {
    const auto fill = [](auto& into, const auto& rows) {
        for (const auto& row : rows) {
            into.emplace(id_of(row), &row);
        }
    };
    fill(units_, registry.units);
    fill(people_, registry.people);
    fill(meters_, registry.meters);
    fill(accounts_, registry.accounts);
    fill(tariffs_, registry.tariffs);
    fill(staff_, registry.staff);
}

bool Index::has(Table table, const std::string& id) const {
    switch (table) {
        case Table::units:
            return units_.contains(id);
        case Table::people:
            return people_.contains(id);
        case Table::meters:
            return meters_.contains(id);
        case Table::accounts:
            return accounts_.contains(id);
        case Table::tariffs:
            return tariffs_.contains(id);
        case Table::staff:
            return staff_.contains(id);
        default:
            return false;
    }
}

std::vector<std::string> Index::ids(Table table) const {
    switch (table) {
        case Table::units:
            return keys_of(units_);
        case Table::people:
            return keys_of(people_);
        case Table::meters:
            return keys_of(meters_);
        case Table::accounts:
            return keys_of(accounts_);
        case Table::tariffs:
            return keys_of(tariffs_);
        case Table::staff:
            return keys_of(staff_);
        default:
            return {};
    }
}

bool covers(const Account& account, Service service) {
    return account.service == AccountService::all ||
           account.service == (service == Service::electricity ? AccountService::electricity
                                                               : AccountService::water);
}

std::string tariff_of(const Account& account, Service service) {
    const std::size_t at =
        account.service == AccountService::all && service == Service::water ? 1 : 0;
    return covers(account, service) && at < account.tariffs.size() ? account.tariffs[at]
                                                                   : std::string();
}

std::vector<Charged> charged_meters(const Registry& registry) {
    const Index index(registry);
    std::map<std::pair<std::string, Service>, const Account*> open;
    for (const Account& account : registry.accounts) {
        for (const Service service : kServices) {
            if (account.closed.empty() && !account.unit.empty() && covers(account, service)) {
                open.emplace(std::pair(account.unit, service), &account);
            }
        }
    }
    std::vector<Charged> out;
    for (const Meter& meter : registry.meters) {
        const Account* account = nullptr;
        if (!meter.account.empty()) {
            account = index.account(meter.account);
        } else if (charged_by_unit(meter)) {
            const auto found = open.find(std::pair(meter.unit, meter.service));
            account = found == open.end() ? nullptr : found->second;
        }
        if (account == nullptr || !account->closed.empty() || meter.status != MeterStatus::active ||
            account->billing == Billing::none) {
            continue;
        }
        const Tariff* tariff =
            index.tariff(meter.tariff.empty() ? tariff_of(*account, meter.service) : meter.tariff);
        if (tariff != nullptr) {
            const Unit* unit = index.unit(account->unit);
            out.push_back({&meter, account, tariff, unit ? unit->persons : std::nullopt});
        }
    }
    return out;
}

std::vector<std::string> not_yet(const Registry& registry) {
    std::map<std::string, std::string> unserved;  // tariff -> what it needs
    for (const Tariff& tariff : registry.tariffs) {
        if (auto words = why_not_yet(tariff); !words.empty()) {
            unserved.emplace(tariff.tariff, std::move(words));
        }
    }
    std::vector<std::string> out(registry.accounts.size());
    if (unserved.empty()) {
        return out;
    }
    // Tariffs that meters name themselves, by the account or the unit that they are charged to.
    std::multimap<std::string, const Meter*> by_account, by_unit;
    for (const Meter& meter : registry.meters) {
        if (!unserved.contains(meter.tariff)) {
            continue;
        }
        if (!meter.account.empty()) {
            by_account.emplace(meter.account, &meter);
        } else if (!meter.unit.empty() && charged_by_unit(meter)) {
            by_unit.emplace(meter.unit, &meter);
        }
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
        const Account& account = registry.accounts[i];
        std::set<std::string> tariffs(account.tariffs.begin(), account.tariffs.end());
        const auto own = by_account.equal_range(account.account);
        for (auto at = own.first; at != own.second; ++at) {
            tariffs.insert(at->second->tariff);
        }
        const auto of_unit = by_unit.equal_range(account.unit);
        for (auto at = of_unit.first; at != of_unit.second; ++at) {
            if (covers(account, at->second->service)) {
                tariffs.insert(at->second->tariff);
            }
        }
        std::string why;
        for (const auto& id : tariffs) {
            if (const auto found = unserved.find(id); found != unserved.end()) {
                why += (why.empty() ? "" : "; ") + ("tariff '" + id + "' needs " + found->second);
            }
        }
        if (!why.empty()) {
            out[i] = "account '" + account.account + "' is not yet served: " + why;
        }
    }
    return out;
}

}  // namespace gatehouse::registry_files
