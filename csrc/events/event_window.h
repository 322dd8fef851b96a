// The newest events of one sensor, and grey images of what happened in any short time among them.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "events/event_packet.h"
#include "events/pages.h"

namespace canthus {

class EventWindow {
 public:
  // Events that are `kept_us` older than the newest one are let go, and the oldest when there are more than
  // `at_most`, so memory is bounded.
  EventWindow(int width, int height, float contribution, float neutral, int64_t kept_us, size_t at_most);

  // Takes a packet in, or nothing of it: then the index of its first event that goes back in time, lies
  // outside the sensor or has a polarity other than 0 and 1.
  template <class Coordinate>
  std::optional<size_t> push(const EventPacket<Coordinate>& packet);

  // What became of the events of a packet; the counts add up to its length.
  struct Inserted {
    size_t in_order = 0, late = 0, too_late = 0, jumped = 0, invalid = 0;
  };

  // Takes events in any order, each to its place in time: those of `earliest` to `latest` (the others jumped)
  // that lie within the sensor and have a polarity (else invalid), and that are of `useful_from` or later and
  // not let go yet (else too late).
  template <class Coordinate>
  Inserted insert(const EventPacket<Coordinate>& packet, int64_t earliest, int64_t latest,
                  int64_t useful_from);

  // How many events there were in (end - window_us, end].
  size_t count(int64_t end, int64_t window_us) const;

  // Writes height x width grey values: every pixel's potential starts at neutral, each event in
  // (end - window_us, end] moves it by the contribution, and it is held within [0, 1] at every event.
  // Throws std::out_of_range if some of those events were already let go.
  void render(int64_t end, int64_t window_us, uint8_t* image);

  int width() const { return width_; }
  int height() const { return height_; }
  int64_t newest() const { return newest_; }

 private:
  struct Range {
    size_t begin, end;
  };

  // Of a packet of which one is.
  template <class Coordinate>
  size_t first_refused(const EventPacket<Coordinate>& packet) const;
  template <class Coordinate>
  bool valid(const EventPacket<Coordinate>& packet, size_t i) const;
  // Merges the sorted runs [begin, middle) and [middle, end_); of events of one time, the first run's come
  // first.
  void merge(size_t begin, size_t middle);
  uint32_t packed(uint64_t x, uint64_t y, uint8_t p) const;
  void make_room(size_t added);
  void let_go();
  Range range(int64_t end, int64_t window_us) const;
  float moved(float potential, int polarity) const;
  bool find_grey_steps();

  int width_, height_;
  float contribution_, neutral_;
  int64_t kept_us_;
  size_t at_most_;

  // Live events are [begin_, end_) of both arrays; they slide towards the end and are moved back in time.
  Pages<int64_t> times_;
  Pages<uint32_t> events_;  // pixel * 2 + polarity
  size_t capacity_ = 0, begin_ = 0, end_ = 0;
  int64_t newest_ = INT64_MIN, let_go_until_ = INT64_MIN;

  // Where no two potentials that can be reached share a grey value, the image itself is the state:
  // grey_steps_[grey * 2 + polarity] is the next grey. Otherwise potentials_ holds one float a pixel.
  std::array<uint8_t, 512> grey_steps_{};
  std::vector<float> potentials_;
};

}  // namespace canthus
