// Who may read what is personal of a household beside its file: the registers of the office hold
// names and what people said. Customer service and its head may, others while the head lets them,
// programs with files:read. The pool's threads.
#pragma once

#include <string>

#include "daemon/http/routes.hpp"

namespace gatehouse::http {

// Whether the caller has that scope beside the one of the route: a document that is put together
// of several leaves out the parts that he could not ask for by themselves.
[[nodiscard]] bool has_scope(const Call& call, const std::string& scope);
// `unit` empty: of no household in particular, which no leave of the head covers.
[[nodiscard]] bool opens_file(Call& call, const std::string& unit);
// Whom to call of a household: who holds an account of it, else who is written down with it; name
// and phone, `whole` or masked. Empty: nobody is known.
[[nodiscard]] std::string contact_of(const Call& call, const std::string& unit, bool whole);
// Whether people.csv has that person with another unit and with nothing of this one.
[[nodiscard]] bool is_of_another_unit(const Call& call, const std::string& person,
                                      const std::string& unit);
// 张**, and of a phone number that somebody wrote instead of a name nothing but its first digit.
[[nodiscard]] std::string masked_name(const std::string& name);

}  // namespace gatehouse::http
