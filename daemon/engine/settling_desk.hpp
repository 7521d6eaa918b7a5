// The settling desk: prices that came late and figures that were corrected. It shows before what
// they change, and posts it account by account, in slices, so that nothing holds the engine. What
// waits stands in the books, and a new process goes on with it; each account is settled in one
// transaction under its own key (account, cause). Engine thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/engine/account_replay.hpp"
#include "daemon/engine/json_writer.hpp"
#include "daemon/engine/world.hpp"

namespace gatehouse {

// What an account was charged and would be charged.
struct Charges {
    Fen usage, minimum, fees;
    [[nodiscard]] Fen sum() const { return usage + minimum + fees; }
};
// A line whose target is another.
struct LineMove {
    LineKey key;
    Line before, after;
};
struct Figure {
    std::string account;
    Charges before, after;
    Fen amount;                   // signed, for the household; 0 where it keeps no balance
    std::vector<LineMove> lines;  // of those; where meters belonged elsewhere alone
    std::map<std::string, AccountReplay::Moved> meters;  // the same: that come to the account
};
struct Figures {
    std::vector<Figure> rows;          // of accounts whose money moves
    std::size_t accounts = 0;          // that were looked at
    std::vector<std::string> faults;   // why an account cannot be settled
    [[nodiscard]] Fen amount() const;  // sum
};
// One row of `money` for each, and the totals under "settlement".
void write_figures(JsonWriter& money, const Figures& figures, const char* kind);
void write_figure_totals(JsonWriter& json, const Figures& figures);

// Something that changes lines which were posted: looked at first, then done.
struct LateWork {
    std::vector<std::string> accounts;
    std::shared_ptr<const Registry> registry;  // as it is to be
    std::vector<LateVersionRow> versions;      // that came late
    Corrected corrected;                       // figures that are to stand instead
    std::map<EdgePlace, Milli> edges;          // and at edges where no freeze stands
    std::vector<RemapRow> remaps;              // meters that belonged elsewhere
    std::string actor;                         // who asked, as Context has it
    std::string from_month;                    // nothing changes in lines before it
    // With the figures it is carried out, or refused. An event: the answer waits until all that it
    // changes is posted.
    struct Done {
        Reply reply;
        std::uint64_t event = 0;
    };
    std::function<Done(Context&, const Figures&)> carry_on;
    ReplyHandler handler;
};

// Either a reply, or what is looked at before there is one.
struct LateJudged {
    Reply reply;
    std::optional<LateWork> late;
};

class SettlingDesk {
  public:
    explicit SettlingDesk(Context& context);
    // False: too much waits already.
    [[nodiscard]] bool begin(LateWork& work);
    // True: some is left because time ran out.
    [[nodiscard]] bool slice(const Clock& clock, MonoMs deadline_mono_ms);
    struct Answer {
        ReplyHandler handler;
        Reply reply;
    };
    [[nodiscard]] std::vector<Answer> take_answers() { return std::exchange(answers_, {}); }
    // The world was rebuilt from the store: what was in progress is answered with that refusal,
    // and what waits in the books goes on.
    void reset(const Reply& refusal);

  private:
    [[nodiscard]] bool look(const Clock& clock, MonoMs deadline_mono_ms);
    [[nodiscard]] bool post(const Clock& clock, MonoMs deadline_mono_ms);
    void note_figure(const LateWork& work);
    void settle();
    void tell_left(const SettlingRow& cause, const std::string& account);
    void end_event(std::uint64_t event);

    Context& context_;
    ReplayFrame frame_;
    std::deque<LateWork> works_;
    std::size_t next_ = 0;  // account of the first of them
    Figures figures_;
    std::unique_ptr<AccountReplay> replay_;
    std::deque<std::pair<std::uint64_t, std::string>> waiting_;
    bool loaded_ = false;
    std::map<std::uint64_t, Answer> answers_of_;  // by event, until it is settled
    std::vector<Answer> answers_;
};

// An account that cannot be settled refuses all of it.
[[nodiscard]] std::optional<Reply> figures_refusal(const Figures& figures);
// Why what changes the accounts' lines is not begun now; nothing where it may be.
[[nodiscard]] std::optional<Reply> settling_refusal(const Context& context);

}  // namespace gatehouse
