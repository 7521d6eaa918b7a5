// Verbs of people who log in: giving a password, and who has one.
#include <termios.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <iostream>

#include "daemon/ctl/output.hpp"
#include "daemon/ctl/table.hpp"
#include "daemon/ctl/verbs.hpp"

namespace gatehouse::ctl {

namespace json = boost::json;

namespace {

// A terminal that does not show what is typed.
class Silence {
  public:
    Silence() : active_(isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!active_) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    ~Silence() {
        if (active_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    [[nodiscard]] bool active() const { return active_; }

  private:
    termios before_{};
    bool active_;
};

std::string read_secret(const Silence& silence, const char* prompt) {
    if (silence.active()) std::cerr << prompt << std::flush;
    std::string line;
    std::getline(std::cin, line);
    if (silence.active()) std::cerr << "\n";
    return line;
}

}  // namespace

int user_passwd(const Options& options) {
    std::string password;
    {
        const Silence silence;
        password = read_secret(silence, "password: ");
        if (silence.active() && read_secret(silence, "once more: ") != password) {
            std::cerr << "the two are not the same; nothing was changed\n";
            return kBadInput;
        }
    }
    BodyBuilder body;
    body.object["password"] = password;
    const Answer answer =
        call(options.socket_path, "POST", "/api/v1/staff/" + encode(options.subject) + "/password",
             body.take(), {});
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    std::cout << options.subject << " logs in with it from now on\n";
    return kDone;
}

int user_list(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/staff");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"STAFF", "NAME", "ROLES", "PASSWORD SINCE"}) table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& staff = item.get_object();
        std::string roles;
        for (const json::value& role : list(staff, "roles"))
            roles += (roles.empty() ? "" : " ") + std::string(role.get_string());
        const std::string since = text(staff, "password_changed_at");
        table.row({text(staff, "staff"), text(staff, "name"), roles, since.empty() ? "-" : since});
    }
    std::cout << (table.empty() ? "staff.csv is empty\n" : table.text());
    return kDone;
}

int erase(const Options& options) {
    BodyBuilder body;
    body.field("by", options.by).field("second", options.second).field("reason", options.reason);
    const Answer answer =
        call(options.socket_path, "POST", "/api/v1/people/" + encode(options.subject) + "/erase",
             body.take(), {});
    if (!answer.ok()) return report(options, answer);
    if (options.json) return print_document(answer);
    std::cout << options.subject
              << " is erased; `gatehousectl verify` proves the books as before\n";
    return kDone;
}

int erasures(const Options& options) {
    const Listing listing = all_items(options, "/api/v1/erasures");
    if (listing.failed.status != 0) return report(options, listing.failed);
    if (options.json) return print_items(listing);
    TextTable table;
    for (const char* heading : {"PERSON", "AT", "BY", "SECOND", "REASON"}) table.column(heading);
    for (const json::value& item : listing.items) {
        const json::object& row = item.get_object();
        table.row({text(row, "person"), text(row, "at"), text(row, "by"), text(row, "second"),
                   text(row, "reason")});
    }
    std::cout << (table.empty() ? "nobody was erased\n" : table.text());
    return kDone;
}

}  // namespace gatehouse::ctl
