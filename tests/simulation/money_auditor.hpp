// The independent auditor: from what the meters really showed, what was published and what lies on
// disk it works out, by its own arithmetic, what every account owes, and says where the daemon's
// books disagree. It shares no code with daemon/ and writes nothing. Copyable, so that a restore of
// an older copy takes the auditor of that moment with it. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/simulation/money_own.hpp"
#include "tests/simulation/money_plan.hpp"
#include "tests/simulation/money_prices.hpp"
#include "tests/simulation/money_rows.hpp"

namespace gatehouse::money {

// The two do not agree. Where, and both figures.
struct Disagreement : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What was sent over the wire at one instant, beside what the meter truly showed then.
struct Shown {
    Ratio sent, held;
    bool truth = true;
    int device = 0;  // 0, then one more for each meter that was put in its place
};
// What the world saw of one meter; samples by (run, monotonic time). The newest are kept.
struct Witness {
    std::map<std::pair<std::int64_t, std::int64_t>, Shown> shown;
    std::deque<std::pair<std::int64_t, std::int64_t>> order;
    std::int64_t modulus = 0;  // in 1e-3, where the register begins anew; 0: never
};

// What two people were asked to sign. The entries that it must give are worked out from this alone.
struct Asked {
    std::string kind;         // refund, transfer, adjustment, reversal
    std::string account, to;  // `to` of a transfer
    std::int64_t fen = 0;     // above zero, but for an adjustment
    std::string method, by, second, service;
    std::string entry;  // that a reversal undoes
};

// What the daemon's screens say at that moment.
struct AccountScreen {
    std::int64_t ledger = 0, balance = 0, provisional = 0;
    int level = 0;
    bool judged = false, held = false;
};
struct MeterScreen {
    std::optional<std::int64_t> register_value, total, read_at;
};
struct Screen {
    std::map<std::string, AccountScreen> accounts;
    std::map<std::string, MeterScreen> meters;
    bool trusted = false, writable = true;
    std::int64_t now_ms = 0, up_ms = 0;              // and since when this process runs
    std::int64_t low = 0, critical = 0, margin = 0;  // thresholds of everybody
};

struct Tally {
    std::int64_t audits = 0, readings = 0, estimated = 0, charges = 0, late = 0, entries = 0,
                 acts = 0, months = 0, moved = 0, replaced = 0, changes = 0, rollovers = 0,
                 released = 0, settled = 0, corrected = 0, edges = 0, taken_back = 0,
                 minimums_back = 0, below_truth = 0;
    void add(const Tally& other);
};

class Auditor {
  public:
    Auditor(const Calendar& calendar, const std::map<std::string, Witness>& witness)
        : calendar_(&calendar), witness_(&witness), prices_(calendar) {}

    // The registry's files came into force with that event.
    void imported(const Plan& plan, std::int64_t event, Books& books);
    // The same, with a version whose first day had come.
    void imported_late(const Plan& plan, std::int64_t event, const LateVersion& late, Books& books);
    // What people may say a row was: between its neighbours, none of which is an estimate.
    struct Correctable {
        std::int64_t seq = 0, low = 0, high = 0;  // registers
        std::vector<std::int64_t> around;         // the rows from one neighbour to the other
    };
    [[nodiscard]] std::vector<Correctable> correctable(const std::string& meter) const;
    void corrects(std::int64_t seq, std::int64_t register_value) {
        corrected_to_[seq] = register_value;
    }
    // A top-up was acknowledged: from now on its entry is in the books once.
    void acknowledged(const std::string& key, const std::string& account, std::int64_t fen,
                      const std::string& receipt);
    [[nodiscard]] bool knows(const std::string& key) const { return paid_.contains(key); }
    // An act is about to be asked for under that cause; and it was answered as done.
    void asked(const std::string& cause, const Asked& asked) { asked_.emplace(cause, asked); }
    void done(const std::string& cause) { fresh_acts_.push_back(cause); }
    [[nodiscard]] bool has_booked(const std::string& cause) const { return acts_.contains(cause); }

    // An account ended, and that one goes on from its registers; no id: nobody does. `at`: people
    // entered it afterwards, and the end lies there.
    void moved(const std::string& account, const PlanAccount& next, const Plan& plan,
               bool ladder_goes_on, std::optional<std::int64_t> at = std::nullopt);
    // What the ladders of an account have counted, tariff by tariff.
    [[nodiscard]] std::vector<std::string> ladders_of(const std::string& account) const;
    // The month that people may close, the oldest first; "" where none is over.
    [[nodiscard]] std::string month_due(Books& books, std::int64_t today) const;
    // Nothing behind that entry belongs to the month; its files, and that they were sealed.
    void closes(const std::string& month, std::int64_t last_entry);
    void check_files(const std::string& month,
                     const std::map<std::string, std::string>& texts) const;
    void sealed(const std::string& month, const std::map<std::string, std::string>& digests);

    // Throws Disagreement.
    void audit(Books& books, const Screen& screen);
    // Once everything has been read twice and posted: nothing is open, levels are exact, and each
    // meter's total is what it truly counted.
    void final_audit(Books& books, const Screen& screen,
                     const std::map<std::string, Ratio>& true_faces);
    [[nodiscard]] const Tally& tally() const { return tally_; }
    [[nodiscard]] bool waits_for_edge(const std::string& meter) const {
        return !meters_.at(meter).edges.empty();
    }

  private:
    struct Edge {
        std::int64_t event = 0, at = 0;
        Terms before;
    };
    struct Anchor {
        std::int64_t at = 0, total = 0, register_value = 0;
    };
    struct Undated {  // read by a clock that nobody trusted then
        std::pair<std::int64_t, std::int64_t> stamp;
        std::int64_t total = 0, register_value = 0;
    };
    // A stored row, by the figures that stand in its place now.
    struct Row {
        RowKind kind = RowKind::interval;
        bool estimated = false;
        std::optional<std::int64_t> stands_at;
        std::pair<std::int64_t, std::int64_t> stamp;
        std::int64_t total = 0, register_value = 0;
        std::string account;
    };
    struct MeterAudit {
        std::map<std::int64_t, Row> rows;  // by seq
        std::int64_t settled_seq = 0, mark_seq = 0;
        Terms terms, registry;  // in force, and as the registry has them
        std::deque<Edge> edges;
        std::vector<Edge> passed;  // of them, with what held before each
        std::optional<std::int64_t> begun_at;
        bool begun = false, marked = false;
        std::int64_t settled_until = 0, settled_total = 0, settled_register = 0;
        std::optional<std::int64_t> last_at;  // nothing: its run was not trusted yet
        std::optional<Anchor> dated;          // the newest before such ones
        std::deque<Undated> undated;          // they
        std::pair<std::int64_t, std::int64_t> last_stamp, first_stamp;
        std::int64_t last_total = 0, last_register = 0, last_epoch = 0;
        Ratio last_face;
        bool last_typed = false, ended = false;
        std::int64_t base_total = 0, base_figure = 0;
        int device = 0;
        std::int64_t mark = 0, mark_at = 0;
        std::vector<ReadingOnDisk> estimated;  // they wait for the sample that ends them
    };
    // A stretch of use that ends at an edge.
    struct Charge {
        std::string meter, tariff;
        std::int64_t seq = 0, edge = 0, quantity = 0;
        int persons = 0;
        bool at_once = false;  // posted with its row: a registry change, a replacement
        bool waited = false;   // it stood there at the audit before
        std::int64_t from = 0, from_total = 0;  // where it begins; 0: at a time nobody knows
    };
    // What a ladder had counted before anything was posted on it.
    struct Seed {
        std::string tariff, counter;
        std::int64_t day = 0, quantity = 0;
    };
    // A price that came late, and with which event.
    struct Late {
        LateVersion version;
        std::int64_t event = 0;
        bool left = false;  // as it was, since the account is closed
    };
    // What a correction moves on one posted stretch, once it is settled.
    struct Moved {
        std::string cause;
        std::int64_t seq = 0, quantity = 0, from_total = 0;
    };
    struct AccountAudit {
        PlanAccount plan;
        bool opened = false;
        std::int64_t opened_on = 0;           // its day
        std::string posted_through;           // the newest day as of the audit before
        std::int64_t money = 0, entries = 0;  // in fen; without charges, and all
        OwnLines books;
        std::vector<Charge> open;
        std::vector<Charge> history;                               // posted, in that order
        std::vector<Seed> seeds;                                   // of its ladders
        std::vector<std::pair<std::string, std::int64_t>> minima;  // tariff and last day
        std::vector<Moved> moved;
        std::vector<Late> unheard;          // prices by which it is not settled yet, or never is
        std::shared_ptr<const Prices> own;  // without them; null: those of everybody
        std::set<std::string> months;       // touched since they were compared
        std::optional<std::int64_t> first_day;
        std::map<std::string, std::set<std::int64_t>> fees;  // due by cause, any of these amounts
        std::map<std::string, std::set<std::int64_t>> early_fees;  // no fault where they stand
        std::map<std::string, std::int64_t> booked_fees;
        std::map<std::string, std::string> fee_entries;  // their ids, by cause
        std::set<std::string> taken_back;                // of them by the end, by cause
        std::optional<std::int64_t> ended_at;            // before it was entered
        std::string goes_on_from;                        // whose ladders it took over
    };
    struct Closed {
        std::string month;
        std::int64_t last_entry = 0;
        std::map<std::string, std::int64_t> lines, booked;  // fen by account, as it closed
        std::map<std::string, std::string> digests;         // of its files, once they are sealed
    };
    struct Paid {
        std::string account, receipt;
        std::int64_t fen = 0;
    };

    // An entry as it has to be: the household's side and the other.
    struct OwnEntry {
        std::string kind, account;
        std::int64_t amount = 0;
        std::string other, by, cause;
    };

    void publish(const Plan& plan);
    void read(Books& books);
    void read_entries(Books& books);
    void check_month(Books& books, const EntryOnDisk& entry, const std::string& name);
    void take_entry(Books& books, const EntryOnDisk& entry);
    void take_money(const EntryOnDisk& entry, const std::string& name, AccountAudit& account);
    [[nodiscard]] std::vector<OwnEntry> entries_of(const std::string& cause, const Asked& asked);
    void check_act(const std::string& cause);
    void take_back(const EntryOnDisk& entry, const std::string& name, AccountAudit& account);
    void end_late(AccountAudit& account);
    void compare_taken_back(const AccountAudit& account) const;
    void compare_ledger(Books& books) const;
    void compare_months(Books& books) const;
    [[nodiscard]] std::string booking_month(const EntryOnDisk& entry,
                                            const std::string& month) const;
    [[nodiscard]] bool is_closed_for(const EntryOnDisk& entry) const;
    void take(Books& books, const ReadingOnDisk& row);
    void begin(MeterAudit& meter, const ReadingOnDisk& row, Ratio face,
               std::optional<std::int64_t> at);
    void check_truth(const MeterAudit& meter, const ReadingOnDisk& row);
    // The total at that face, which `total_of` checks against the row's and makes the newest.
    [[nodiscard]] std::int64_t total_at(const MeterAudit& meter, const ReadingOnDisk& row,
                                        Ratio face) const;
    void total_of(MeterAudit& meter, const ReadingOnDisk& row, Ratio face);
    void end_estimates(Books& books, MeterAudit& meter, const ReadingOnDisk& row, Ratio face,
                       std::int64_t read_at);
    [[nodiscard]] std::vector<Anchor> dated_later(Books& books, const MeterAudit& meter) const;
    [[nodiscard]] std::vector<Anchor> anchors_of(Books& books, const MeterAudit& meter,
                                                 const ReadingOnDisk& end,
                                                 const Anchor& edge_before) const;
    static void check_estimate(const ReadingOnDisk& row, const Anchor& from,
                               const ReadingOnDisk& end, std::int64_t end_at,
                               std::int64_t end_total);
    [[nodiscard]] bool lies_before(Books& books, const MeterAudit& meter, const ReadingOnDisk& row,
                                   const Anchor& edge_before, const Anchor& end) const;
    void check_before(Books& books, const ReadingOnDisk& row, const Anchor& edge_before,
                      const Anchor& last) const;
    void pass_edge(MeterAudit& meter, const ReadingOnDisk& row, Ratio face);
    void change_terms(MeterAudit& meter, const ReadingOnDisk& row, Ratio face_at_edge);
    [[nodiscard]] static bool is_new_meter(const MeterAudit& meter, const ReadingOnDisk& row) {
        return row.kind == RowKind::replacement && meter.ended && row.epoch != meter.last_epoch;
    }
    void replace(MeterAudit& meter, const ReadingOnDisk& row, Ratio face);
    void move(MeterAudit& meter, const ReadingOnDisk& row);
    void charge(MeterAudit& meter, const ReadingOnDisk& row, std::int64_t edge, bool at_once);
    struct NextEdge {
        std::int64_t at = 0;
        enum class Kind { midnight, band, registry } kind = Kind::midnight;
    };
    [[nodiscard]] static const Terms& terms_at(const MeterAudit& meter, std::int64_t at);
    [[nodiscard]] NextEdge next_edge(const MeterAudit& meter) const;
    // As of when a sample counts: the newest edge, where it lies within five minutes after it.
    [[nodiscard]] std::int64_t counts_at(const MeterAudit& meter, std::int64_t read_at) const;

    [[nodiscard]] const Prices& prices_of(const AccountAudit& account) const {
        return account.own ? *account.own : prices_;
    }
    void hold_prices(AccountAudit& account) const;
    void settle_late(Books& books);
    void correct(Books& books, const std::vector<ReadingOnDisk>& batch);
    struct InTime {
        std::int64_t at = 0, seq = 0;
        const Row* row = nullptr;
    };
    std::vector<InTime> in_time(Books& books, const MeterAudit& meter, std::int64_t root) const;
    void check_estimates(const std::vector<InTime>& rows, std::int64_t seq) const;
    void move_charges(const std::string& meter, std::int64_t seq, std::int64_t by,
                      const std::string& cause);
    void post_anew(AccountAudit& account);
    [[nodiscard]] std::vector<std::int64_t> edges_inside(const AccountAudit& account,
                                                         const Charge& charge) const;
    void check_hour(Books& books, const std::string& id, std::int64_t at, std::int64_t total) const;
    [[nodiscard]] bool tell(Books& books, const std::string& meter, Anchor& from, Anchor& to,
                            std::int64_t edge) const;
    [[nodiscard]] const Charge& charge_ending(const AccountAudit& account,
                                              const FigureOnDisk& figure) const;
    [[nodiscard]] std::int64_t corrected_figure(Books& books, const FigureOnDisk& figure) const;
    void read_figures(Books& books);
    void check_told(Books& books, const AccountAudit& account) const;
    void seed(AccountAudit& account, const std::string& tariff, std::int64_t day,
              std::int64_t quantity);
    void put_in_order(std::vector<Charge>& posted, const std::string& posted_before) const;
    void see_days(Books& books, bool all);
    void post(Books& books, bool successors);
    [[nodiscard]] bool is_posted(Books& books, const AccountAudit& account, const Charge& charge,
                                 const std::string& newest) const;
    void post_day(AccountAudit& account, std::int64_t day);
    enum class Due { with_the_posting, by_the_day };
    void owe_fees(AccountAudit& account, std::int64_t edge, bool daily, Due due);
    [[nodiscard]] std::set<std::string> tariffs_before(const std::string& account,
                                                       std::int64_t edge, bool begun_since) const;
    void compare_fees(AccountAudit& account) const;
    void open_account(Books& books, const Screen& screen, AccountAudit& account);
    void use(const AccountAudit& account, OwnLines& lines, const Charge& charge) const;
    void compare(Books& books, const Screen& screen);
    void compare_lines(Books& books, AccountAudit& account);
    void compare_balance(const Screen& screen, const AccountAudit& account) const;
    void compare_level(const Screen& screen, const AccountAudit& account, bool exact) const;
    void compare_meters(const Screen& screen) const;
    void compare_days(const Screen& screen) const;
    void check_paid();
    // Nothing where a part of it is not dated yet: its day is anybody's guess.
    [[nodiscard]] std::optional<OwnLines> with_rest(const Screen& screen,
                                                    const AccountAudit& account) const;
    [[nodiscard]] bool ledgered(const AccountAudit& account) const {
        return account.opened && account.plan.billing == "prepaid";
    }

    const Calendar* calendar_;
    const std::map<std::string, Witness>* witness_;
    Prices prices_;
    Plan published_;                                     // whose prices they are
    std::set<std::string> late_;                         // causes of price settlements
    std::map<std::int64_t, std::int64_t> corrected_to_;  // registers by seq, as people typed them
    std::set<std::string> settled_causes_;  // of the entries that were not compared yet
    std::map<std::string, MeterAudit> meters_;
    std::map<std::string, AccountAudit> accounts_;
    // Totals at edges within stretches of use, by account, reading and instant.
    std::map<std::string, std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>> figures_;
    std::set<std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t>> figures_seen_;
    std::int64_t figures_read_ = 0;
    std::map<std::string, std::string> newest_days_;  // posted, by account
    std::map<std::string, Paid> paid_;
    std::vector<std::string> fresh_;  // keys whose entry was not looked for yet
    std::map<std::string, std::pair<std::string, std::int64_t>> topups_;  // as booked, by cause
    std::map<std::string, Asked> asked_;                                  // by cause
    std::map<std::string, std::vector<OwnEntry>> acts_;                   // as booked, by cause
    std::set<std::string> touched_;             // causes of them that were not compared yet
    std::vector<std::string> fresh_acts_;       // answered, and not looked for yet
    std::map<std::string, OwnEntry> undoable_;  // by entry id
    std::set<std::string> undone_;
    std::map<std::string, std::int64_t> ledger_;  // sum of legs by book
    std::vector<Closed> closed_;
    std::string newest_month_;                      // of an entry
    std::map<std::string, std::string> successor_;  // by account that ended; "": nobody
    std::map<std::string, std::map<std::string, std::int64_t>> booked_;  // by month and account
    std::int64_t reading_seq_ = 0, entry_seq_ = 0;
    std::map<std::string, std::int64_t> gapless_{{"event", 0}, {"entry", 0}, {"reading", 0}};
    Tally tally_;
};

}  // namespace gatehouse::money
