#include "daemon/engine/registry_charging.hpp"

#include <algorithm>
#include <set>

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

std::string not_yet(const Registry& registry, const Account& account) {
    const Index index(registry);
    std::set<std::string> tariffs(account.tariffs.begin(), account.tariffs.end());
    for (const Meter& meter : registry.meters) {
        const bool own = meter.account.empty()
                             ? !account.unit.empty() && meter.unit == account.unit &&
                                   charged_by_unit(meter) && covers(account, meter.service)
                             : meter.account == account.account;
        if (own && !meter.tariff.empty()) {
            tariffs.insert(meter.tariff);
        }
    }
    std::string why;
    const auto add = [&](const std::string& reason) { why += (why.empty() ? "" : "; ") + reason; };
    for (const auto& id : tariffs) {
        const Tariff* tariff = index.tariff(id);
        if (tariff == nullptr) {
            continue;
        }
        if (const auto words = why_not_yet(*tariff); !words.empty()) {
            add("tariff '" + id + "' needs " + words);
        }
    }
    return why.empty() ? why : "account '" + account.account + "' is not yet served: " + why;
}

}  // namespace gatehouse::registry_files
