#!/usr/bin/env bash
# The error catalogue: every code that the sources use has a line in docs/errors, in the file whose
# name holds it, and every line there belongs to a code in use. usage: errors.sh SOURCE_DIR
set -euo pipefail
cd "${1:?usage: errors.sh SOURCE_DIR}"
bad=0
complain() { echo "errors: $*"; bad=1; }

# Lines "id file" of the catalogue.
documented=$(grep -roE '^\| *`?QRT-E[0-9]{4}' docs/errors --include='[0-9]*.md' |
  sed -E 's/^([^:]*):.*QRT-E([0-9]{4}).*/\2 \1/' | sort)
while read -r id file; do
  range=$(basename "$file" .md)
  [[ ! $id < ${range%-*} && ! $id > ${range#*-} ]] || complain "QRT-E$id stands in $file"
done <<<"$documented"
documented=$(cut -d' ' -f1 <<<"$documented")
twice=$(uniq -d <<<"$documented")
[ -z "$twice" ] || complain "documented twice: $twice"

# Lines "id file" of the sources. An id stands, as a number or as a constant of the same folder
# that holds one: after the code of a Status; first in what makes an Error or ToolError; in front
# of the sentence in the validator's checks; last in print_error() and read_file(); or spelled out.
used=$(find runtime converter \( -name '*.cc' -o -name '*.h' \) -print0 | sort -z | xargs -0 perl -e '
  my (%text, %constant, %used);
  for my $file (@ARGV) {
    open(my $in, "<", $file) or die "$file: $!";
    local $/;
    my $all = <$in>;
    $used{"$1 $file"} = 1 while $all =~ /QRT-E(\d{4})/g;
    $all =~ s{(^|\s)//[^\n]*}{$1}g;
    $all =~ s{"(?:[^"\\\n]|\\.)*"}{""}g;
    $text{$file} = $all;
    my ($folder) = $file =~ m{(.*)/};
    while ($all =~ /constexpr (?:int|uint16_t) (k\w+) = (\d{1,3});/g) {
      $constant{$file}{$1} = $constant{$folder}{$1} = $2;
    }
  }
  for my $file (@ARGV) {
    my ($folder) = $file =~ m{(.*)/};
    my $note = sub {
      for my $word ($_[0] =~ /\b(\d{1,3}|k[A-Z]\w*)\b/g) {
        my $id = $word =~ /^\d/ ? $word : $constant{$file}{$word} // $constant{$folder}{$word};
        $used{sprintf("%04d %s", $id, $file)} = 1 if $id;
      }
    };
    for ($text{$file}) {
      $note->($1) while /\b(?:Code::\w+|kBad(?:Model)?)\s*,\s*(\w+)\s*,/g;
      $note->($1) while /\b(?:Error|ToolError|error|fail|refuse)\s*[({]\s*([^,;"()]*),/g;
      $note->($1) while /\b(?:in_range|equal|equal_size)\([^;]*?,\s*(\d{3})\s*,\s*(?:"|row\.what|what|where)/g;
      $note->($1) while /\b(?:print_error|read_file)\([^;]*,\s*(\w+)\);/g;
    }
  }
  print "$_\n" for sort keys %used;')
while read -r id file; do
  grep -q "^$id$" <<<"$documented" || complain "QRT-E$id of $file is not explained in docs/errors"
done < <(grep -v '^0000 ' <<<"$used")
for id in $documented; do
  grep -q "^$id " <<<"$used" || complain "QRT-E$id is explained in docs/errors but not in use"
done
echo "errors: $(wc -l <<<"$documented") codes"
exit $bad
