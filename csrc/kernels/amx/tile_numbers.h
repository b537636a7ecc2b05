// A tile register as an argument: its number must be a constant.
#pragma once

namespace belle {
namespace {

template <int number>
struct Tile {};

}  // namespace
}  // namespace belle
