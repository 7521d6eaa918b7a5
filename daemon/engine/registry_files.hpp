// The registry folder of CONTRACT.md 3 as bytes in and bytes out: reading, merging, checking and
// writing units.csv, people.csv, meters.csv, accounts.csv, tariffs/*.toml, pools.csv, calendar.csv,
// staff.csv and keys.csv. It opens no file and no database and decides nothing about money: what an
// import may change of what was already charged is the engine's to refuse. Pure, any thread.
//
// An import is: parse -> merge into what stands -> check what came out, all three whatever the one
// before found, so that every problem is told at once; it is taken only where none of the three
// named one. Warnings refuse nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/core/registry.hpp"

namespace gatehouse::registry_files {

// Name and bytes; a tariff file is named "tariffs/<something>.toml".
using Files = std::vector<std::pair<std::string, std::string>>;

// In the order in which they are written and in which references point backwards.
enum class Table { units, people, meters, accounts, tariffs, pools, calendar, staff, keys };
inline constexpr std::size_t kTables = 9;
[[nodiscard]] const char* to_string(Table table);  // "units", "tariffs": also the word of messages

// Limits. Each refuses its file with a sentence; nothing of that file is then read.
inline constexpr std::size_t kFileBytesMax = 8U * 1024 * 1024;
inline constexpr std::size_t kFilesMax = 512;
inline constexpr std::size_t kRowsMax = 20'000;      // of one CSV file
inline constexpr std::size_t kCellBytesMax = 1'024;  // of one cell, after decoding
inline constexpr std::size_t kColumnsMax = 64;
inline constexpr std::size_t kIdentifierMax = 64;
inline constexpr std::size_t kListMax = 2'000;      // items of one `;` list
inline constexpr std::size_t kTiersMax = 64;        // of one version; bands and fees as well
inline constexpr std::size_t kVersionsMax = 200;    // of one tariff
inline constexpr std::size_t kProblemsMax = 1'000;  // more are counted, not listed

// One column as people may write it; the documentation prints this table.
struct Column {
    std::string_view name;
    bool required = false;
    std::vector<std::string_view> aliases;  // Chinese headings that mean the same
    std::string_view note;                  // what may stand in it, in a few words
};
struct FileColumns {
    Table table = Table::units;
    std::string_view file;        // "units.csv"
    std::vector<Column> columns;  // canonical order: the order of the export
};
[[nodiscard]] const std::vector<FileColumns>& file_columns();  // every CSV file

// Where a row was read, so that a check across files can still point at its cell.
struct Place {
    std::string file;
    int line = 0;
    std::map<std::string, int, std::less<>> columns;  // column name -> its cell's first character
    // What of the row could not be read and was told: columns, or all but its id. What rests on
    // them is neither merged nor judged. Of a tariff: "service", "uses", "version".
    std::set<std::string, std::less<>> unread = {};
    bool damaged = false;
    [[nodiscard]] bool lacks(std::string_view column) const {
        return damaged || unread.contains(column);
    }
    [[nodiscard]] bool whole() const { return !damaged && unread.empty(); }
};
using Places = std::map<std::pair<Table, std::string>, Place>;

struct Parsed {
    // A row with a wrong cell is here as well, with what could be read of it (its place says what
    // could not), so that merge and check find what else is wrong; nothing may be taken over
    // unless problems is empty.
    Registry registry;
    std::vector<Problem> problems;
    std::vector<Problem> warnings;  // such as GB18030 read as such
    // Which columns each file had. A file that is absent leaves its table; a column that is absent
    // leaves that field of rows that exist already.
    std::map<Table, std::set<std::string, std::less<>>> columns;
    Places places;
    std::set<Table> partial;  // a part of the file could not be read: some ids are not known
    [[nodiscard]] bool ok() const { return problems.empty(); }
};
[[nodiscard]] Parsed parse(const Files& files);
// Brings problems into the order of file, line and column and cuts them at kProblemsMax.
void arrange_problems(std::vector<Problem>& problems);

// `format:value` -> 64 hex digits; what export writes after "hmac256:". The key is the caller's.
using CardHash = std::function<std::string(const std::string& card)>;

// Replaces every plain card by its "hmac256:..." form; what is hashed already stays. The engine
// calls it on what was parsed, before merging, so that no card number is ever stored.
void hash_cards(Registry& registry, const CardHash& hash);

// What an import did to one row. The id of a calendar day is its date.
enum class Outcome { added, changed, unchanged };
struct Change {
    Table table = Table::units;
    std::string id;
    Outcome outcome = Outcome::unchanged;
    // The columns that differ, in canonical order; of a tariff: "label", "uses", ... and
    // "version 2026-01-01" for each version that is new or differs.
    std::vector<std::string> fields;
};
struct Merged {
    Registry registry;              // rows that existed keep their place, new ones follow
    std::vector<Change> changes;    // every row of the files, in order
    std::vector<Problem> problems;  // an edited `closed`, which only closing may write
    [[nodiscard]] std::size_t count(Outcome outcome) const;
};
// Deletes nothing, tariff versions included: rows, versions and files that are absent are left.
[[nodiscard]] Merged merge(const Registry& current, const Parsed& incoming);

// What the files refer to outside themselves. An absent list is not checked.
struct Known {
    std::optional<std::vector<std::string>> buses;
    std::optional<std::vector<std::string>> cabinets;
    std::optional<std::vector<std::string>> profiles;  // names, for the nearest one
    // Beside the names: why this meter cannot be read with its profile (unknown, broken with file
    // and place, of the other service); empty where it can.
    std::function<std::string(const Meter& meter)> profile_fault;
    // Whether its register has CT and PT in it, so that a multiplier would apply them twice.
    std::function<bool(const std::string& profile)> profile_primary;
    // Why the profile has no such channel as the row names; empty where it has.
    std::function<std::string(const Meter& meter)> channel_fault;
};
struct Checked {
    std::vector<Problem> problems;
    std::vector<Problem> warnings;  // an unknown profile disables that meter alone
};
// Everything that one row alone cannot tell: references, uniqueness, which meter is charged to
// which account at which tariff. `places` (may be empty) lets a problem name its cell; a row that
// is not in it is named by the canonical file with line 0.
// A reference into a table that is partial is taken for good. What rests on a cell that was not
// read is not judged: its own problem was told.
[[nodiscard]] Checked check(const Registry& merged, const Known& known, const Places& places = {},
                            const std::set<Table>& partial = {});

// Which account and tariff a meter is charged to. One per charged meter; `check` proves it so.
// role other than unit counts only where the meter names its account.
struct Charged {
    const Meter* meter = nullptr;
    const Account* account = nullptr;
    const Tariff* tariff = nullptr;
    std::optional<int> persons;  // of the account's unit
};
[[nodiscard]] std::vector<Charged> charged_meters(const Registry& registry);

// Why each account, in their order, cannot be charged yet, naming account and cause; empty where it
// can. The registry stores what it asks for all the same.
[[nodiscard]] std::vector<std::string> not_yet(const Registry& registry);

// The whole registry as the same files: canonical column order, UTF-8 without byte-order mark, LF,
// one file a tariff. Importing them changes nothing. Plain cards go through `hash`.
[[nodiscard]] Files write(const Registry& registry, const CardHash& hash);

// One tariff as its TOML file.
[[nodiscard]] std::string write_tariff(const Tariff& tariff);

}  // namespace gatehouse::registry_files
