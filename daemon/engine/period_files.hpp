// What the files of a month are made with: the frame that all of them carry, a file in the making,
// and the one object that writes the four of them one after the other, since the last sums up what
// the others held. Private to period_*.cpp; one thread an object.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/engine/documents.hpp"
#include "daemon/engine/period_documents.hpp"
#include "daemon/engine/sealed_text.hpp"

namespace gatehouse::period_files {

struct PeriodFrame {
    std::string site_id, currency;
    PeriodBounds bounds;
    PeriodRow row;                     // of the month that closes
    std::uint64_t previous_entry = 0;  // last_entry of the month closed before; 0: none
    const Zone* zone = nullptr;
};

// One file in the making: its head, one row after the other, its foot.
class FileWriter {
  public:
    FileWriter(const char* name, const PeriodFrame& frame) : name_(name) {
        JsonWriter head;
        head.begin_object()
            .field("schema", 1)
            .field("file", name)
            .field("site", frame.site_id)
            .field("period", frame.bounds.month)
            .field("from", format_iso8601(frame.bounds.from, *frame.zone))
            .field("to", format_iso8601(frame.bounds.to, *frame.zone))
            .field("currency", frame.currency)
            .field("last_entry", frame.row.last_entry)
            .field("last_reading", frame.row.last_reading);
        text_.append(head.take());
    }
    void begin_items() { text_.append(",\"items\":["); }
    void item(JsonWriter& json) {
        text_.append(count_++ == 0 ? "\n" : ",\n");
        text_.append(json.take());
    }
    void end_items() { text_.append("\n]"); }
    // A member of the file itself, whose value is JSON.
    void member(const char* name, JsonWriter& value) {
        text_.append(",\"");
        text_.append(name);
        text_.append("\":");
        text_.append(value.take());
    }
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] PeriodFile finish() {
        text_.append("}\n");
        return text_.finish(name_);
    }

  private:
    const char* name_;
    SealedText text_;
    std::size_t count_ = 0;
};

struct UseTotals {
    Milli unit, main, public_use, check;
    std::size_t meters = 0, unread = 0, estimated = 0;
};

struct ChargeTotals {
    std::size_t rows = 0;
    Milli quantity;
    Fen amount;
};

struct Names {
    std::unordered_map<std::string, const Unit*> units;
    std::unordered_map<std::string, const Account*> accounts;
    std::unordered_map<std::string, Service> tariffs, pools;
    explicit Names(const Registry& registry) {
        for (const Unit& unit : registry.units) units[unit.unit] = &unit;
        for (const Account& account : registry.accounts) accounts[account.account] = &account;
        for (const Tariff& tariff : registry.tariffs) tariffs[tariff.tariff] = tariff.service;
        for (const Pool& pool : registry.pools) pools[pool.pool] = pool.service;
    }
    [[nodiscard]] const Account* account(const std::string& id) const {
        const auto found = accounts.find(id);
        return found == accounts.end() ? nullptr : found->second;
    }
    [[nodiscard]] const Unit* unit(const std::string& id) const {
        const auto found = units.find(id);
        return found == units.end() ? nullptr : found->second;
    }
};

inline void unit_fields(JsonWriter& json, const Names& names, const std::string& id) {
    json.field_if("unit", id);
    const Unit* unit = names.unit(id);
    if (unit == nullptr) return;
    json.field("unit_label", unit->label.empty() ? unit->unit : unit->label)
        .field_if("building", unit->building)
        .field_if("entrance", unit->entrance)
        .field("use", to_string(unit->use));
}

class Files {
  public:
    Files(const PeriodFrame& frame, const PeriodFacts& facts,
          const std::vector<PeriodCheck>& checks, StoreReader& reader)
        : frame_(frame),
          facts_(facts),
          checks_(checks),
          reader_(reader),
          registry_(*facts.snapshot->registry),
          names_(registry_),
          before_month_(reader.last_entry_before(frame.bounds.month)) {}

    std::vector<PeriodFile> write() {
        std::vector<PeriodFile> files;
        files.push_back(readings());
        files.push_back(charges());
        files.push_back(ledger());
        files.push_back(summary(files));
        return files;
    }

  private:
    PeriodFile readings();
    void reading_rows(FileWriter& file, const Meter& meter, const PeriodMeter& read,
                      const std::string& payer);
    void count_use(const Meter& meter, const PeriodMeter& read);
    PeriodFile charges();
    void line_row(FileWriter& file, const PeriodLine& line);
    void entry_row(FileWriter& file, const StoredEntry& entry);
    // A row for the household whose side of the entry that is.
    void write_entry(FileWriter& file, const StoredEntry& entry, const Leg& side);
    PeriodFile ledger();
    PeriodFile summary(const std::vector<PeriodFile>& files);
    void use_totals(JsonWriter& json);
    void add_charge(Service service, const std::string& tariff, const char* kind, Milli quantity,
                    Fen amount);
    [[nodiscard]] bool belongs(const StoredEntry& entry) const;
    [[nodiscard]] Service service_of(const StoredEntry& entry) const;

    const PeriodFrame& frame_;
    const PeriodFacts& facts_;
    const std::vector<PeriodCheck>& checks_;
    StoreReader& reader_;
    const Registry& registry_;
    Names names_;
    // What a month used is booked in it or later, and months of entries never fall.
    const std::uint64_t before_month_;
    std::map<Service, UseTotals> use_;
    std::map<std::tuple<Service, std::string, std::string>, ChargeTotals> charges_;
    std::map<std::string, std::pair<std::size_t, Fen>> kinds_;  // of entries
    std::map<std::string, std::size_t> rows_;                   // by file
    Fen charged_, booked_later_, of_earlier_, booked_;
    Fen moved_;  // by all entries of the month
};

}  // namespace gatehouse::period_files
