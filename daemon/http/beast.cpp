// Beast is compiled once here (BOOST_BEAST_SEPARATE_COMPILATION) instead of in each user.
#include <boost/beast/src.hpp>
