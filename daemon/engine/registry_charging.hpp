// Finding rows of a registry by id, and which account covers what. For registry_check.cpp and
// registry_charging.cpp. Points into the registry it was made from. Any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/engine/registry_files.hpp"

namespace gatehouse::registry_files {

class Index {
  public:
    explicit Index(const Registry& registry);
    [[nodiscard]] const Unit* unit(const std::string& id) const { return find(units_, id); }
    [[nodiscard]] const Meter* meter(const std::string& id) const { return find(meters_, id); }
    [[nodiscard]] const Account* account(const std::string& id) const {
        return find(accounts_, id);
    }
    [[nodiscard]] const Tariff* tariff(const std::string& id) const { return find(tariffs_, id); }
    [[nodiscard]] bool has(Table table, const std::string& id) const;
    [[nodiscard]] std::vector<std::string> ids(Table table) const;

  private:
    template <class Row>
    using Rows = std::map<std::string, const Row*>;
    template <class Row>
    static const Row* find(const Rows<Row>& rows, const std::string& id) {
        const auto found = rows.find(id);
        return found == rows.end() ? nullptr : found->second;
    }

    Rows<Unit> units_;
    Rows<Person> people_;
    Rows<Meter> meters_;
    Rows<Account> accounts_;
    Rows<Tariff> tariffs_;
    Rows<Staff> staff_;
};

[[nodiscard]] bool covers(const Account& account, Service service);
// The account's tariff for a service that it covers; empty where its list is too short.
[[nodiscard]] std::string tariff_of(const Account& account, Service service);

}  // namespace gatehouse::registry_files
