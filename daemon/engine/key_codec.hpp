// How keys and tickets stand in the books: each value as one JSON text and back. What cannot be
// read back is a broken book and says so. Pure, any thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/core/key_custody.hpp"
#include "daemon/core/ticket.hpp"
#include "daemon/engine/card_book.hpp"
#include "daemon/store/key_books.hpp"

namespace gatehouse {

[[nodiscard]] std::string to_book(const KeyEvent& value);
[[nodiscard]] std::string to_book(const KeyState& value);
[[nodiscard]] std::string to_book(const SourceState& value);
[[nodiscard]] std::string to_book(const CabinetState& value);
[[nodiscard]] std::string to_book(const KeyLoan& value);
[[nodiscard]] std::string to_book(const CardHistory& value);
[[nodiscard]] std::string to_book(const Ticket& value);
// Throws StoreError (corrupt) where the text is none of that kind.
void from_book(std::string_view text, KeyEvent& value);
void from_book(std::string_view text, KeyState& value);
void from_book(std::string_view text, SourceState& value);
void from_book(std::string_view text, CabinetState& value);
void from_book(std::string_view text, KeyLoan& value);
void from_book(std::string_view text, CardHistory& value);
void from_book(std::string_view text, Ticket& value);

[[nodiscard]] TicketRow ticket_row(const Ticket& ticket);
[[nodiscard]] Ticket ticket_of(const TicketRow& row);
[[nodiscard]] KeyLoanRow loan_row(const KeyLoan& loan);
[[nodiscard]] KeyLoan loan_of(const KeyLoanRow& row);

}  // namespace gatehouse
