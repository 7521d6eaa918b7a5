#include "daemon/engine/meter_profiles.hpp"

#include <optional>

namespace gatehouse {

std::string channel_fault(const Meter& row, int channels) {
    return "profile " + row.profile + " has " +
           (channels == 1 ? std::string("one channel, which is 0 or left empty")
                          : "channels 0 to " + std::to_string(channels - 1)) +
           ", and the row has channel " + std::to_string(row.channel.value_or(0));
}

ProfileFact profile_of(const ProfileLookup& lookup, const Meter& row) {
    ProfileFact fact;
    fact.reason = "read by eye";
    if (row.profile.empty()) return fact;
    fact = lookup(row.profile);
    if (!fact.traits) return fact;
    if (fact.channels > 0 && row.channel.value_or(0) >= fact.channels) {
        fact.traits.reset();
        fact.reason = channel_fault(row, fact.channels);
        return fact;
    }
    if (!fact.service || *fact.service == row.service) return fact;
    // Kilowatt-hours billed as cubic metres would be a wrong number with every check passed.
    fact.traits.reset();
    fact.reason = "profile " + row.profile + " is for " + to_string(*fact.service) +
                  ", and the meter counts " + to_string(row.service);
    return fact;
}

bool MeterProfiles::bind(const Meter& row, Shared<ProfileFact>& fact, MeterTerms& terms) {
    Known& known = known_of(row);
    fact = known.fact;
    const std::optional<MeterTerms> made = make_terms(row, known.traits, zone_);
    if (!made) return false;
    terms = *made;
    known.traits = made->traits;
    return true;
}

MeterProfiles::Known& MeterProfiles::known_of(const Meter& row) {
    const auto [found, is_new] =
        known_.try_emplace({row.profile, row.service, row.rated_amps.value_or(""),
                            row.rated_flow.value_or(""), row.channel.value_or(0)});
    if (is_new) {
        const ProfileFact fact = profile_of(lookup_, row);
        found->second = {fact, fact.traits.value_or(MeterTraits{})};
    }
    return found->second;
}

}  // namespace gatehouse
