#include <algorithm>
#include <map>
#include <utility>

#include "daemon/engine/registry_fields.hpp"
#include "daemon/engine/registry_files.hpp"

namespace gatehouse::registry_files {
namespace {

constexpr std::string_view kHashed = "hmac256:";

template <class Row>
std::map<std::string, std::size_t> index_of(const std::vector<Row>& rows) {
    std::map<std::string, std::size_t> out;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        out.emplace(id_of(rows[i]), i);
    }
    return out;
}

class Merger {
  public:
    Merger(const Parsed& incoming, Merged& out) : incoming_(incoming), out_(out) {}

    template <class Row>
    void csv(Table table, std::vector<Row>& rows, const std::vector<Row>& fresh) {
        const auto known = index_of(rows);
        if (rows.empty()) rows.reserve(fresh.size());
        out_.changes.reserve(out_.changes.size() + fresh.size());
        for (const Row& row : fresh) {
            const auto found = known.find(id_of(row));
            Change change{table, id_of(row), Outcome::added, {}};
            if (found == known.end()) {
                rows.push_back(row);
            } else {
                change.fields = update(table, rows[found->second], row);
                change.outcome = change.fields.empty() ? Outcome::unchanged : Outcome::changed;
            }
            out_.changes.push_back(std::move(change));
        }
    }

    void tariffs(std::vector<Tariff>& rows, const std::vector<Tariff>& fresh) {
        const auto known = index_of(rows);
        for (const Tariff& tariff : fresh) {
            const auto found = known.find(tariff.tariff);
            Change change{Table::tariffs, tariff.tariff, Outcome::added, {}};
            if (found == known.end()) {
                rows.push_back(tariff);
            } else if (const auto place =
                           incoming_.places.find(std::pair(Table::tariffs, tariff.tariff));
                       place == incoming_.places.end() || place->second.whole()) {
                change.fields = update(rows[found->second], tariff);
                change.outcome = change.fields.empty() ? Outcome::unchanged : Outcome::changed;
            }
            out_.changes.push_back(std::move(change));
        }
    }

  private:
    // Closing an account is an act with money in it, so a file cannot do or undo it. A row that is
    // new may be closed: that is an export read into an empty house.
    bool refuses(Table table, std::string_view field, const std::string& id) {
        if (table != Table::accounts || field != "closed") {
            return false;
        }
        Problem problem{"accounts.csv", 0, 0,
                        "account '" + id +
                            "': closed is written by export alone; leave the column as it was "
                            "exported, and close an account through its own command"};
        const auto place = incoming_.places.find(std::pair(table, id));
        if (place != incoming_.places.end()) {
            problem.file = place->second.file;
            problem.line = place->second.line;
            const auto column = place->second.columns.find(field);
            problem.column = column == place->second.columns.end() ? 1 : column->second;
        }
        out_.problems.push_back(std::move(problem));
        return true;
    }

    template <class Row>
    std::vector<std::string> update(Table table, Row& row, const Row& fresh) {
        std::vector<std::string> changed;
        const auto present = incoming_.columns.find(table);
        const auto place = incoming_.places.find(std::pair(table, id_of(row)));
        for (const Field<Row>& field : fields<Row>()) {
            const bool given =
                present == incoming_.columns.end() || present->second.contains(field.name);
            if (place != incoming_.places.end() && place->second.lacks(field.name)) {
                continue;
            }
            if (given && field.write(row) != field.write(fresh) &&
                !refuses(table, field.name, id_of(row))) {
                field.copy(fresh, row);
                changed.emplace_back(field.name);
            }
        }
        return changed;
    }

    std::vector<std::string> update(Tariff& row, const Tariff& fresh) {
        std::vector<std::string> changed;
        const auto take = [&](const char* name, auto& into, const auto& from) {
            if (!(into == from)) {
                into = from;
                changed.emplace_back(name);
            }
        };
        take("label", row.label, fresh.label);
        take("service", row.service, fresh.service);
        take("source", row.source, fresh.source);
        take("uses", row.uses, fresh.uses);
        for (const TariffVersion& version : fresh.versions) {
            const auto at = std::lower_bound(
                row.versions.begin(), row.versions.end(), version,
                [](const auto& a, const auto& b) { return a.valid_from < b.valid_from; });
            const std::string name = "version " + format_date(version.valid_from);
            if (at == row.versions.end() || at->valid_from != version.valid_from) {
                row.versions.insert(at, version);
                changed.push_back(name);
            } else if (!(*at == version)) {
                *at = version;
                changed.push_back(name);
            }
        }
        return changed;
    }

    const Parsed& incoming_;
    Merged& out_;
};

}  // namespace

void hash_cards(Registry& registry, const CardHash& hash) {
    for (Staff& staff : registry.staff) {
        for (std::string& card : staff.cards) {
            if (!card.starts_with(kHashed)) {
                card = std::string(kHashed) + hash(card);
            }
        }
    }
}

std::size_t Merged::count(Outcome outcome) const {
    return static_cast<std::size_t>(
        std::count_if(changes.begin(), changes.end(),
                      [&](const Change& change) { return change.outcome == outcome; }));
}

Merged merge(const Registry& current, const Parsed& incoming) {
    Merged out;
    out.registry = current;
    Merger merger(incoming, out);
    for_each_csv_table([&](Table table, auto member) {
        merger.csv(table, out.registry.*member, incoming.registry.*member);
        if (table == Table::accounts) {
            merger.tariffs(out.registry.tariffs, incoming.registry.tariffs);
        }
    });
    return out;
}

}  // namespace gatehouse::registry_files
