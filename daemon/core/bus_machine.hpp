// The bus machine: what one bus does next. It is told what happened (an event) and what time it is,
// and answers with one action for its shell to carry out: connect, read, listen, drain, wait,
// close. It opens nothing, sleeps nowhere and decodes nothing. Pure; owned by one bus thread.
//
// Late replies. An RTU reply carries no transaction number, so a late one is a valid answer to the
// next question of the same length. After any timeout, damaged or foreign frame the station (one
// address on the bus) owes a reply: the bus keeps quiet for as long as this station was ever late,
// and at least the response timeout, drains, and goes on; but until nothing can be pending, the
// next reads of this station are proofs, reads whose reply has another length than any that is
// owed. A station answers in order, so a proof that comes back settles the debt. Where no length
// differs, the station waits out kDebtMs instead. On TCP the transaction number decides.
//
// Gateways out of step. A Modbus TCP gateway that keeps a reply of its line for the next question
// gives it under the right number, and then so with every reply for as long as it likes. Where the
// billing block of a meter has a length of its own (reply_shape.hpp) nothing else is needed. Where
// another register of its address was lately asked for with the same length, a read of a length
// that nothing asked lately has goes before it: it comes back only once all before it has. Where
// every length was asked for lately, one of them, or at last the question itself, goes before it
// until kAskedMax questions lie between the two.
//
// Connections. Many gateways close one that was idle, and some after every reply. That is no
// outage: the visit goes on over the next connection with the reads that remain, and what such a
// gateway was never sent is owed by nobody. One that was seen to serve a single question on each
// connection is given one on each from then on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/boxed.hpp"
#include "daemon/core/meter_blocks.hpp"
#include "daemon/core/poll_plan.hpp"
#include "daemon/core/sample.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/turnaround.hpp"

namespace gatehouse {

struct BusSetup {
    std::vector<BusMeter> meters;
    std::int64_t poll_interval_ms = 60'000;
    std::int64_t response_timeout_ms = 1'000;  // ceiling; the working timeout is learned
    bool transaction_numbers = false;          // Modbus TCP whose gateway echoes them
    bool reconnects = false;                   // a stream: closing it forgets what is pending
    bool gateway = false;      // Modbus TCP: it may hold a reply back and be out of step for good
    std::int64_t char_us = 0;  // one character; 0: not known, and learned
    std::int64_t gap_ms = 0;   // between any two transactions
};

// ---- what the shell tells -----------------------------------------------------------------
struct Woken {};  // start, the end of a wait, or a new wish
struct Connected {};
struct ConnectFailed {
    std::string reason;
};
struct ReadEnded {
    PollResult result = PollResult::timeout;
    std::int64_t turnaround_us = 0;  // from the request's last byte to the reply's first
    std::int64_t busy_us = 0;
    int exception = 0;  // Modbus exception code, where that is how it ended
    std::string detail;
    std::string lost;     // not empty: the connection itself broke, and why
    bool unsent = false;  // it was found broken before the question was sent
};
struct Listened {                   // the quiet time is over
    std::size_t bytes = 0;          // that arrived meanwhile and were dropped
    std::int64_t last_byte_ms = 0;  // of them, after the start of listening
    bool owed_reply = false;        // one of them was exactly the frame that was owed
    std::string lost;
};
struct Drained {
    std::size_t bytes = 0;
    std::string lost;
};
struct Closed {};
struct JobTurned {      // a job had its turn
    bool done = false;  // it wants no more; nothing was on the wire
    bool sent = false;  // else: something was; if not, ask again from `not_before` on
    MonoMs not_before = 0;
    int address = 0;
    RegisterSpan span;
    PollResult result = PollResult::ok;
    std::int64_t busy_us = 0;
    std::string lost;
};
using BusEvent =
    std::variant<Woken, Connected, ConnectFailed, ReadEnded, Listened, Drained, Closed, JobTurned>;

// ---- what the shell is to do --------------------------------------------------------------
enum class BusActionKind { wait, connect, read, listen, drain, close, job };
struct BusAction {
    BusActionKind kind = BusActionKind::wait;
    MonoMs until = 0;             // wait: or until somebody wishes something
    std::int64_t for_ms = 0;      // listen
    int meter = -1;               // read
    int address = 0;              // read
    RegisterSpan span;            // read; listen: the owed one
    std::int64_t timeout_ms = 0;  // read
    std::int64_t gap_us = 0;      // read: silence before it, of a line whose speed was learned
    bool proof = false;           // read: its words are no value of this visit
    bool restart = false;         // read: the visit begins anew, what it read before is void
    bool traced = false;          // read: a person will look at its bytes
};

enum class VisitKind { routine, confirming, full };
struct VisitEnd {
    int meter = -1;
    VisitKind kind = VisitKind::routine;
    bool identity = false;  // the identity blocks were read too
    PollResult result = PollResult::ok;
    std::string detail;
    bool offline = false;  // the meter is held for offline from here on
};
struct BusStep {
    BusAction action;
    std::vector<VisitEnd> ended;  // in order; empty mostly
    bool status_changed = false;  // phase, reason or number of meters online
};

enum class MachinePhase { connecting, idle, reading, quiet, draining, closing, backoff, job };
[[nodiscard]] const char* to_string(MachinePhase phase);

class BusMachine {
  public:
    static constexpr int kFailuresOffline = 3;    // consecutive; then the meter is offline
    static constexpr int kFailuresReconnect = 2;  // of a stream without one good reply
    static constexpr std::int64_t kBackoffFirstMs = 1'000;
    static constexpr std::int64_t kBackoffMaxMs = 300'000;
    static constexpr std::int64_t kConnectFirstMs = 500;
    static constexpr std::int64_t kConnectMaxMs = 10'000;
    static constexpr int kLossesOfOneRead = 1;  // forgiven, where the connection served before
    static constexpr int kLossesFree = 16;      // without one visit that ended well; then slower
    static constexpr int kSingleHints = 3;      // connections that ended after one reply
    static constexpr std::int64_t kSingleMs = 3'600'000;    // then more than one is tried again
    static constexpr std::int64_t kLonelyProbeMs = 10'000;  // when no station answers at all
    static constexpr int kProbePercent = 4;                 // of the time, for all dead meters
    static constexpr std::int64_t kDebtMs = 30'000;         // after it nothing can be pending
    // The serial number and the meter's own clock are read again after so long without an outage.
    static constexpr std::int64_t kIdentityEveryMs = 6 * 3'600'000;
    static constexpr int kQuietRoundsMax = 8;       // on a line that never falls silent
    static constexpr int kBusyRetriesMax = 3;       // exceptions 5 and 6 of one block
    static constexpr int kJobPercent = 25;          // of the time, while polls are due
    static constexpr std::size_t kGuestsMax = 512;  // debts of addresses without a meter
    static constexpr std::size_t kAskedMax = 8;     // replies that a gateway may be behind
    static constexpr int kRefusalsBelieved = 3;     // running, of a billing block behind a gateway
    static constexpr int kLearnedFrom = 3;     // stations whose word on the line's speed is enough
    static constexpr int kLearningReads = 32;  // spent on that, all stations together

    BusMachine(BusSetup setup, std::uint64_t jitter_seed, MonoMs now);

    // Takes a new list of meters; those with the id and address of before keep what was learned.
    // Only between resume() calls whose action was `wait`.
    void configure(BusSetup setup, MonoMs now);
    void poll_soon(int meter);  // an exchange of its own, before what is due
    void read_full(int meter);  // for a person who waits: backoff does not hold it
    void identify(int meter);   // its next routine visit reads the identity blocks as well
    // The poll that ended well brought no value: a reply that says "not available" or no number.
    void unusable(int meter, PollResult result, const std::string& detail);
    // Somebody else wants exchanges too: until JobTurned says that it is done, `job` is an action.
    void want_job(bool wanted) { job_wanted_ = wanted; }
    // Whether a job's question could not be answered by an earlier, late reply; and from when on
    // the meter of that address, if there is one, has had its pause.
    struct JobLeave {
        bool provable = true;
        MonoMs not_before = 0;
    };
    [[nodiscard]] JobLeave job_may_ask(int address, const RegisterSpan& span, MonoMs now) const;

    [[nodiscard]] BusStep resume(const BusEvent& event, MonoMs now);

    [[nodiscard]] MachinePhase phase() const { return phase_; }
    [[nodiscard]] int find(const std::string& meter) const;  // index, or -1
    [[nodiscard]] bool meter_online(int index) const;
    // Fills phase, reason and counters, and on demand a line for each meter; the id is the shell's.
    [[nodiscard]] BusStatus status(bool with_lines = false) const;
    [[nodiscard]] BusPhase shown_phase() const { return shown_phase_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }
    // Nobody on the bus answers and something has failed: what comes next is likely to time out.
    [[nodiscard]] bool troubled() const;
    // What was learned of the station of a meter, for the planner and for status.
    [[nodiscard]] std::int64_t turnaround_us(int index) const;
    [[nodiscard]] std::int64_t lateness_ms(int index) const;
    [[nodiscard]] bool reply_owed(int index) const;

  private:
    struct Owed {
        RegisterSpan span;
        MonoMs asked = 0;
    };
    struct Station {
        int address = 0;
        bool online = false;
        int failures = 0;
        std::int64_t backoff_ms = 0;
        MonoMs not_before = 0;  // pause between reads
        std::int64_t lateness_ms = 0;
        std::int64_t turnaround_mean_us = 0;
        Turnaround turnaround;
        LengthTimes lengths;  // where the line's speed is not known
        int good = 0;         // replies since the last silence
        std::vector<Owed> owed;
        std::vector<RegisterSpan> asked;  // of a gateway, newest last: what may be answered yet
    };
    // Why a register is read within a visit.
    enum class Purpose { routine, identity, retry, learning, full };
    struct Read {
        RegisterSpan span;
        Purpose purpose = Purpose::routine;
    };
    struct Visit {
        int meter = -1;
        VisitKind kind = VisitKind::routine;
        bool proving = false;
        bool guarding = false;  // what is asked goes before the next read, and is no value
        bool settles = false;   // nothing asked lately has the length of what is asked
        std::vector<Read> reads;
        std::size_t next = 0;
        bool identity = false;  // has identity blocks, none of them refused so far
        bool fresh = false;     // nothing of it was read
        int refusals = 0;       // of its next read, running
        int losses = 0;         // of the connection, while its next read was asked
        RegisterSpan asked;     // the span now on the wire
        MonoMs asked_at = 0;
    };
    struct MeterState {
        int station = 0;
        int failures = 0;
        bool online = false;
        bool offline = false;  // reported so
        bool identity_due = true;
        MonoMs identity_at = 0;  // last read
        bool confirm_wanted = false;
        bool full_wanted = false;
        int busy_retries = 0;
        std::string id;
        std::int64_t pause_ms = 0;
        std::shared_ptr<const MeterValues> values;
        std::vector<RegisterSpan> refused_proofs;
        MeterBlocks blocks;
        Boxed<Visit> parked;  // begun, and waits for the meter's pause
        std::string reason;
        std::array<std::uint64_t, kPollResults> exchanges{};
        std::int64_t busy_us = 0;
        std::optional<MonoMs> last_good;
    };

    BusStep act(BusAction action);
    BusStep wait(MonoMs until);
    BusStep next(MonoMs now);
    BusStep wait_for_due(MonoMs now);
    BusStep connect(MonoMs now);
    // `serves`: the connection did what it is for, so the visits go on over the next one.
    BusStep close(bool serves, MonoMs now);
    // The gateway takes one question a connection, and this connection has had it.
    [[nodiscard]] bool used_up(MonoMs now) const;
    // The connection may be closed by us without anybody being away.
    [[nodiscard]] bool still_serves() const;
    void learn_single(MonoMs now);
    void park_visit();
    void fail_all(const std::string& reason);
    // The visit's next read, or another meter's while this one wants its pause.
    BusStep go_on(MonoMs now);
    BusStep read_block(MonoMs now);
    BusStep read_span(const RegisterSpan& span, bool proof, MonoMs now);
    BusStep on_woken(MonoMs now);
    BusStep on_connect_failed(const std::string& reason, MonoMs now);
    BusStep on_read(const ReadEnded& event, MonoMs now);
    BusStep on_good_read(const ReadEnded& event, MonoMs now);
    BusStep on_refusal(const ReadEnded& event, MonoMs now);
    BusStep ask_again(MonoMs now);
    BusStep on_block_refused(const ReadEnded& event, MonoMs now);
    BusStep on_job(const JobTurned& event, MonoMs now);
    BusStep on_line_failure(const ReadEnded& event, MonoMs now);
    BusStep on_listened(const Listened& event, MonoMs now);
    BusStep on_drained(const Drained& event, MonoMs now);
    BusStep on_lost(const std::string& reason, bool unsent, MonoMs now);
    BusStep listen(MonoMs now);
    // False: the station cannot be asked yet and is held; somebody else may be.
    bool begin_visit(int meter, MonoMs now);
    // False: what the station owes cannot be told apart yet; it is held, a person is answered.
    bool settle_debts(Visit& visit, MonoMs now);
    [[nodiscard]] static int wire_bytes(const RegisterSpan& span);
    [[nodiscard]] std::vector<Read> reads_of(int meter, VisitKind kind, MonoMs now);
    [[nodiscard]] std::optional<RegisterSpan> learning_read(int meter) const;
    [[nodiscard]] bool job_turn(MonoMs now) const;
    void learn(Station& station, const ReadEnded& event);
    void owe(std::vector<Owed>& owed, const RegisterSpan& span, MonoMs asked);
    void begin_anew(MonoMs now);
    void show_silence(PollResult result, const std::string& detail, MonoMs now);
    bool may_probe(const Station& station, MonoMs now);
    void end_visit(PollResult result, const std::string& detail, MonoMs now);
    void fail_meter(int meter, VisitKind kind, PollResult result, const std::string& detail);
    void fail_station(PollResult result, const std::string& detail, std::int64_t cost_us,
                      MonoMs now);
    void answered(Station& station, MonoMs now);
    void hold_station(int station, MonoMs until);
    void settle(Station& station);
    // False: something asked lately has its length.
    bool note_asked(Station& station, const RegisterSpan& span);
    void settle_asked(Station& station);
    // What is to be asked before this billing block, which another reply could be taken for.
    [[nodiscard]] std::optional<RegisterSpan> guard_for(int meter, const RegisterSpan& span) const;
    void accrue_credit(MonoMs now);
    // `fresh`: of a length that nothing asked lately has either.
    [[nodiscard]] std::optional<RegisterSpan> proof_for(int meter, const Station& station,
                                                        bool fresh) const;
    [[nodiscard]] std::int64_t working_timeout_ms(const Station& station) const;
    [[nodiscard]] std::int64_t char_us() const;
    [[nodiscard]] MeterLine line(int meter) const;
    [[nodiscard]] std::int64_t quiet_ms(const Station& station) const;
    [[nodiscard]] std::int64_t jittered(std::int64_t delay_ms);
    [[nodiscard]] bool any_station_online() const;
    void show(BusPhase phase, std::string reason, MonoMs now);
    [[nodiscard]] Station& station_of(int meter);
    [[nodiscard]] const Station& station_of(int meter) const;
    void index_stations(const std::vector<BusMeter>& meters, const std::vector<Station>& known);
    [[nodiscard]] bool may_prove(int meter, const RegisterSpan& proof) const;

    BusSetup setup_;  // without its meters, which are below
    std::vector<MeterState> meters_;
    std::vector<Station> stations_;
    PollPlan plan_;
    MachinePhase phase_ = MachinePhase::backoff;
    BusPhase shown_phase_ = BusPhase::connecting;
    std::string reason_;
    MonoMs since_ = 0;
    bool good_since_connect_ = false;
    std::int64_t connect_backoff_ms_ = 0;
    MonoMs connect_at_ = 0;
    bool outage_ = false;  // no meter was reached since; who they are is asked again
    int losses_ = 0;       // of connections, since a visit ended well
    int asked_ = 0;        // on this connection
    int replies_ = 0;
    bool barren_ = false;  // the connection before was lost without one reply
    int single_hints_ = 0;
    MonoMs single_until_ = 0;
    Visit visit_;
    int quiet_station_ = -1;  // who is owed, while quiet or draining
    RegisterSpan quiet_span_;
    MonoMs quiet_asked_at_ = 0;
    MonoMs quiet_from_ = 0;
    int quiet_rounds_ = 0;
    bool close_after_ = false;
    int failures_in_a_row_ = 0;
    std::int64_t probe_credit_us_ = 0;
    MonoMs credit_at_ = 0;
    std::uint64_t jitter_state_;
    bool job_wanted_ = false;
    MonoMs job_at_ = 0;
    std::int64_t job_credit_us_ = 0;
    struct Guest {
        int address = 0;
        Owed owed;
    };
    std::vector<Guest> guests_;
    std::int64_t learned_char_us_ = 0;
    int learned_from_ = 0;  // stations that said something of the line's speed
    int learning_reads_ = 0;
    bool silent_ = false;  // the connection before gave not one reply
    MonoMs began_ = 0;
    std::array<std::uint64_t, kPollResults> exchanges_{};
    ResponseTimes response_times_;
    std::int64_t busy_us_ = 0;
    std::vector<VisitEnd> ended_;
    bool status_changed_ = false;
};

}  // namespace gatehouse
