// The key room: what cabinets and people say of keys, and the tickets they are taken for, come in
// here, are folded by core into who has what, linked, and told. It opens no lock. Engine thread
// only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/core/key_watch.hpp"
#include "daemon/engine/card_book.hpp"
#include "daemon/engine/key_board.hpp"
#include "daemon/engine/key_numberings.hpp"
#include "daemon/engine/world.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {

struct KeyRoomOptions {
    KeyRules rules;
    struct Cabinet {
        std::string id, profile, kind;
    };
    std::vector<Cabinet> cabinets;
};

// What one person writes down about one key.
struct KeyAct {
    std::string key;
    enum class What {
        take,
        bring,
        hand,
        lose,
        find,
        give,
        count,
        extend,
        offer,
        confirm,
        decline,
        unseal,
        seal,
    };
    What what = What::take;
    std::string by, person, second, to, ticket, reason;
    std::string at, until;        // ISO 8601; at empty: now
    std::optional<bool> present;  // count: whether it hangs there
    std::optional<int> counted;   // count: how many pieces of a bunch
    std::string seal_no;          // seal: of the new one
};
struct OpenTicket {
    std::string kind, unit, place, category, urgency, text, channel, external_no, by;
    std::string reported_at, appointment_at;
    bool emergency = false;
};
struct TicketAct {
    std::string number;
    TicketMove move;
    std::string appointment_at, until, owner_contacted_at;  // ISO 8601, into the move
    std::string loan, key;                                  // link, unlink: either
};
// A register of a hand-over that somebody has to look at: as it was written, and what speaks
// against it, in the site's words.
struct RegisterDoubt {
    std::string meter, figure, why;
};
// A row of a plain register, its body made already.
struct WriteRegister {
    std::string kind, unit, subject, by, second, body;
    std::string event;       // kind of its row in the event log
    std::string log_body;    // what that row says; empty: the body
    bool by_itself = false;  // nobody asked for it, and nobody signs
    bool once = false;       // one row a kind and subject
    // Reported with it, in the same transaction: what an inspection round found.
    std::vector<OpenTicket> faults;
    std::vector<RegisterDoubt> doubts;  // likewise, one ticket for all of them
    // Of a hand-over: figures that two people read at dials which no electronics can confirm. They
    // become readings with the record.
    std::vector<ReadFace> faces;
    // Of a hand-over that is asked for under an Idempotency-Key; empty: without one.
    std::string idempotency_key, body_hash;
};
// A cabinet's clock is to be set, or what came of it; the write is its driver's, and begins only
// after the order is stored.
struct CabinetClock {
    std::string cabinet, by;
    enum class What { ordered, set, failed } what = What::ordered;
    std::optional<std::int64_t> before_ms, after_ms;  // its clock before ours
    std::string reason;
};
struct RoomWork {
    std::variant<KeyPush, CabinetSeen, KeyAct, OpenTicket, TicketAct, WriteRegister, CabinetClock>
        what;
};

inline constexpr const char* kBeatingKind = "beating";  // of key_base: a cabinet that pushes

class KeyRoom {
  public:
    explicit KeyRoom(Context& context);

    [[nodiscard]] Reply carry_out(const RoomCommand& command);
    // The record of a move, where one comes with it and the move was made: with the accounts that
    // it closed and opened, in the same transaction. The reply of the move.
    [[nodiscard]] Reply record(const RoomWork* work, Reply moved);
    void tick();
    // The registry is another one: what the snapshot shows is of that from now on.
    void follow();
    // The books were loaded anew.
    void reset() { loaded_ = false; }
    // What the snapshot shows; the same object until something moved.
    [[nodiscard]] std::shared_ptr<const KeyBoard> board();
    [[nodiscard]] bool moved() const { return moved_; }

  private:
    friend class KeyAlerts;

    void load();
    void load_base();
    void follow_books();
    void refold();
    void insert(std::vector<KeyEvent> events);
    void trim();
    [[nodiscard]] bool is_late(const KeyEventId& id) const;

    [[nodiscard]] Reply push(const KeyPush& push);
    [[nodiscard]] Reply see(const CabinetSeen& seen);
    [[nodiscard]] Reply act(const KeyAct& act);
    [[nodiscard]] Reply clock(const CabinetClock& clock);
    void check_people(const KeyAct& act, Reply& reply) const;
    // From then on an act on that key stands behind all that is known of it.
    [[nodiscard]] UtcMs known_until(const std::string& key, const KeyState& state) const;
    [[nodiscard]] KeyEvent event_of(const KeyAct& act, const Key& key, const KeyState& state,
                                    std::optional<UtcMs> at, std::optional<UtcMs> until) const;
    [[nodiscard]] KeyView view_of(const Key& key);
    [[nodiscard]] CabinetView view_of(const KeyRoomOptions::Cabinet& cabinet,
                                      const std::vector<KeyView>& keys);
    [[nodiscard]] std::optional<ReaderView> reader_of(const std::string& cabinet);
    void check_act(const KeyAct& act, const Key& key, Reply& reply, std::optional<UtcMs>& at,
                   std::optional<UtcMs>& until);
    // Into the event what both of a hand-over say; a reply: why it is refused.
    [[nodiscard]] std::optional<Reply> take_offer(const KeyAct& act, const KeyLoan& loan,
                                                  KeyEvent& event) const;
    // The seal that an act opens or puts on, into the event; a reply: why it is refused.
    [[nodiscard]] std::optional<Reply> take_seal(const KeyAct& act, const Key& key,
                                                 std::optional<UtcMs> at, KeyEvent& event) const;
    [[nodiscard]] std::string key_sealed_with(const std::string& number) const;
    void lapse_offers();
    [[nodiscard]] KeyEvent desk_event(KeyEventType type, const std::string& key) const;
    // Why nobody may be sent, or hand a key to, that person: he is unknown, or has left.
    [[nodiscard]] std::string not_here(const std::string& id) const;
    void note_handover(const RegisterRow& row);
    void look_for_moves();
    [[nodiscard]] Reply open(const OpenTicket& open);
    [[nodiscard]] Reply move(const TicketAct& act);
    [[nodiscard]] Reply write(const WriteRegister& row);
    [[nodiscard]] Reply write_once(const WriteRegister& row);
    [[nodiscard]] std::string book_faces(const WriteRegister& row,
                                         std::vector<std::string>& tickets);

    // Takes fresh events into the books and the fold, and tells what came of it.
    void ingest(std::vector<KeyEvent> fresh);
    void resolve(KeyEvent& event, std::optional<UtcMs> device_now) const;
    [[nodiscard]] std::optional<std::int64_t> skew_of(const KeyPush& push) const;
    [[nodiscard]] bool is_person(const std::string& id) const;
    [[nodiscard]] bool has_left(const std::string& id) const;
    [[nodiscard]] bool was_here(const std::string& id, UtcMs at) const;
    [[nodiscard]] std::vector<CabinetWatch> watched_cabinets();
    void hear(const KeyPush& push);
    void hear_clock(CabinetWatch& watched, std::int64_t skew_ms);
    void order_lock(const Key& key, const KeyAct& act);
    // `part`: of what the id names, which.
    void log_key_event(KeyEvent& event, const KeyMoved* moved, const std::string& part = "");
    [[nodiscard]] bool is_pushing(const std::string& cabinet) const;
    void load_watch();  // whose silence and whose clock is looked at after a restart
    void log_restart(const KeyEvent& first, bool wraps);
    void log_jumps(const KeyEvent& inventory);
    void log_line(const CabinetSeen& seen, UtcMs at);
    void look_for_silence();
    void index_registry();
    [[nodiscard]] std::map<std::string, UtcMs> keys_back();
    [[nodiscard]] const std::vector<KeyFact>& entered_often();
    void forget_derived();
    static void shorten_loss(KeyEvent& event, const KeyNumberings::Place& place);
    void log_gap(const char* kind, const std::string& source, const SeqGap& gap);
    void close_filled_gaps();
    void log_gaps(const std::set<std::pair<std::string, SeqGap>>& before);
    [[nodiscard]] std::set<std::pair<std::string, SeqGap>> gaps() const;

    // Loans and links as the fold has them now, into the books.
    std::vector<const KeyLoan*> keep_loans();  // those that changed
    void keep_links(const std::vector<const KeyLoan*>& among, const TicketMove* undone = nullptr);
    [[nodiscard]] std::vector<const KeyLoan*> loans_near(const Ticket& ticket) const;
    [[nodiscard]] std::vector<const KeyLoan*> loans() const;
    // `undone`: the move by which somebody took a link back that was made by hand.
    void put_links(const KeyLoan& loan, const std::vector<KeyLink>& links,
                   const TicketMove* undone = nullptr);
    void log_link(const char* kind, const KeyLoan& loan, const KeyLink& link,
                  const std::string& by);
    [[nodiscard]] std::string loan_to_link(const TicketAct& act, Reply& reply) const;
    // Empty: more than one, or none, is linked to it by hand; `reply` says so.
    [[nodiscard]] std::string loan_to_unlink(const TicketAct& act, Reply& reply) const;

    [[nodiscard]] const Key* find_key(const std::string& id) const;
    [[nodiscard]] const Ticket* find_ticket(const std::string& number);
    void keep_ticket(const Ticket& before, const Ticket& after, const TicketMove& move,
                     const std::vector<TicketState>& states);
    [[nodiscard]] std::string new_number(const Ticket& ticket) const;
    [[nodiscard]] bool has_keys_out(const std::string& ticket) const;
    [[nodiscard]] bool used_home_key(const std::string& ticket, const std::string& unit) const;
    [[nodiscard]] std::uint32_t lot_of(const std::string& number);
    void show(const Ticket& ticket);

    void watch();
    [[nodiscard]] std::vector<LoanFacts> open_loans() const;

    Context& context_;
    KeyRoomOptions options_;
    bool loaded_ = false, moved_ = true;
    std::shared_ptr<const Registry> registry_;  // that the index points into
    KeyIndex index_;
    KeyNumberings numberings_;
    CardBook cards_;
    Custody base_, now_;
    CustodyFindings findings_;
    std::vector<std::unique_ptr<KeyEvent>> window_;  // in the one order
    std::set<std::string> beating_;                  // cabinets that push and give signs of life
    UtcMs began_ = 0;                                // nobody could be heard before
    std::map<std::string, UtcMs> heard_;             // when each cabinet told something last
    std::map<std::string, std::int64_t> reader_skew_ms_;  // of those that say their time
    UtcMs newest_at_ = 0;                                 // of what was ever in it
    std::map<std::string, KeyLoan> kept_;                 // as the books have them, of the window
    std::map<std::string, std::vector<KeyLink>> links_;
    // By hand: of a loan, the tickets, and who named them.
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> named_;
    std::map<std::string, Ticket> tickets_;     // open ones, and those that ended not long ago
    std::map<std::string, std::string> shown_;  // open ones, as MQTT shows them
    std::map<std::string, CabinetWatch> watch_;
    std::map<std::string, std::optional<UtcMs>> back_;  // by ticket; cleared when a loan moves
    std::optional<std::vector<KeyFact>> often_;         // likewise
    std::map<std::string, std::string> reasons_;        // why a cabinet does not answer
    struct HandOvers {  // of a flat: the newest record of each direction
        std::optional<UtcMs> in, out;
    };
    std::map<std::string, HandOvers> handovers_;
    std::vector<MoveIn> moves_;  // as last looked at
    MonoMs watched_mono_ms_ = 0, trimmed_mono_ms_ = 0, moves_mono_ms_ = 0;
    std::uint64_t version_ = 0;
    std::string newest_opened_;  // number of the newest ticket that was reported
    std::shared_ptr<const KeyBoard> board_;
};

}  // namespace gatehouse
