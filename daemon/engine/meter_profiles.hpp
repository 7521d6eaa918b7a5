// What is known of a meter by its profile and rating, kept once for all meters that have these
// alike. Values; one object for one binding of a registry. Engine thread only.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "daemon/core/boxed.hpp"
#include "daemon/core/registry.hpp"
#include "daemon/core/time.hpp"
#include "daemon/core/validation.hpp"
#include "daemon/engine/engine.hpp"

namespace gatehouse {

// What is known of the profile that a row names; without traits its reason says why.
// Why a device with so many channels has none for the row, in words.
[[nodiscard]] std::string channel_fault(const Meter& row, int channels);
[[nodiscard]] ProfileFact profile_of(const ProfileLookup& lookup, const Meter& row);

class MeterProfiles {
  public:
    MeterProfiles(const ProfileLookup& lookup, const Zone& zone) : lookup_(lookup), zone_(zone) {}

    // What the profile that the row names says, and the terms that both give together. A fact
    // without traits: the meter is not read, and its reason says why. False: the row cannot be
    // used, and the terms are left as they were.
    bool bind(const Meter& row, Shared<ProfileFact>& fact, MeterTerms& terms);

  private:
    struct Known {
        Shared<ProfileFact> fact;
        Shared<MeterTraits> traits;  // narrowed by that rating
    };
    [[nodiscard]] Known& known_of(const Meter& row);

    const ProfileLookup& lookup_;
    const Zone& zone_;
    std::map<std::tuple<std::string, Service, std::string, std::string, int>, Known> known_;
};

}  // namespace gatehouse
