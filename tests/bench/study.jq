# Runs of the study, one object {"job", "run"} each, to cells: one line of tab-separated columns for
# each network and variant, with mean and sample standard deviation over the seeds, in percent. The
# first line names the columns.
#
# A network with several evaluation sets has cells for each of them, and a cell in which they are
# pooled by sample, seed by seed.

# The rows of the pipeline by name ("weights.bits"): what the job says, a list of one value as that
# value; longer lists are in the variant's choices.
def rows($prefix):
  to_entries[] | .key as $key
  | if .value | type == "object" then .value | rows($prefix + $key + ".")
    else {key: ($prefix + $key), value: (.value | if type == "array" then .[0] else . end)} end;

def variant: ([.job.pipeline | rows("")] | from_entries) + .run.choices;

def pool:
  (map(.samples) | add) as $samples
  | def mean($member): (map(.samples * .[$member]) | add) / $samples;
  .[0] + {accuracy: mean("accuracy"), float: mean("float"), samples: $samples};

def deviation($mean):
  if length > 1 then (map(. - $mean | . * .) | add / (length - 1) | sqrt) else 0 end;

def cell:
  map(100 * .accuracy) as $values
  | ($values | add / length) as $mean
  | .[0] + {seeds: length, float: (100 * .[0].float), mean: $mean,
            std: ($values | deviation($mean))};

def bits_of_activations:
  if .["activations.bits"] == "same" then .["weights.bits"] else .["activations.bits"] end;

def columns: ["study", "network", "weight_bits", "activation_bits", "equalize", "weights_init",
  "activations_init", "variable", "granularity", "bias", "seeds", "float", "mean", "std", "bops",
  "peak_bytes"];

def line:
  .variant as $v
  | [.study, .network, $v["weights.bits"], ($v | bits_of_activations), $v["preprocess.equalize"],
     $v["weights.init"], $v["activations.init"], $v["optimize.variable"],
     $v["optimize.granularity"], $v["postprocess.bias"], .seeds, .float, .mean, .std, .cost.bops,
     .cost.peak_bytes];

map({study: .job.study, network: .job.network, set: .job.set, sets: .job.sets,
     seed: .run.seed, variant: variant, accuracy: .run.accuracy, float: .run.float_accuracy,
     samples: .run.evaluation_samples, cost: .run.cost})
| (group_by([.study, .network, .variant, .seed]) | map(select(length == .[0].sets) | pool))
  + map(select(.sets > 1) | .network += ", " + .set)
| group_by([.study, .network, .variant]) | map(cell)
| sort_by([.study, -.variant["weights.bits"], .network])
| columns, (.[] | line)
| @tsv
