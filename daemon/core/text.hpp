// Words and UTF-8: the nearest valid name for an error message, and what files, sentences and
// screens need of UTF-8. Not a library of text: only what is used. Pure, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

// The candidate that `word` was most likely meant to be, by Damerau-Levenshtein distance in code
// points (a swap of neighbours is one edit), ASCII case left out of account. At most a third of
// the word's length in edits, at least one and at most three; nothing beyond that, for words
// longer than 64 code points, or where no candidate is near. Ties go to the earlier candidate.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 const std::vector<std::string>& candidates);

// Strict: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text);
// Code points of valid UTF-8; a byte that is none counts as one U+FFFD.
[[nodiscard]] std::u32string code_points(std::string_view utf8);
void append_utf8(std::string& out, char32_t code_point);
// Without the byte-order mark that spreadsheets put in front.
[[nodiscard]] std::string_view without_bom(std::string_view utf8);
// A control character, or one of U+FFFE and U+FFFF: no text of a person has one, and a workbook
// that carries one cannot be opened.
[[nodiscard]] bool has_unprintable(std::string_view utf8);
// As XML takes it: such characters, tab and the ends of lines left out of account, and bytes that
// are no UTF-8 become U+FFFD. At most `max` bytes, cut between two code points.
[[nodiscard]] std::string for_xml(std::string_view text, std::size_t max);
// At most `max` code points, cut between two of them.
[[nodiscard]] std::string_view truncate_utf8(std::string_view utf8, std::size_t max);
// Without blanks and tabs at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);
// Identifiers of the registry: a-z A-Z 0-9 . _ -, 1 to 64 characters.
[[nodiscard]] bool is_identifier(std::string_view text);
// What another program or a hand wrote and may be published all the same: a code such as
// `unknown_card` or `kcm:0x00AB`, 1 to 40 characters that begin with a letter, and no seven digits
// in a row, which would be a number to call.
[[nodiscard]] bool is_code(std::string_view text);

}  // namespace gatehouse
