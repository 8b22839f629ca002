"""Literature that the report cites, by key."""

from __future__ import annotations

REFERENCES: dict[str, str] = {
    "alain2017": (
        "Alain G, Bengio Y. Understanding intermediate layers using linear classifier probes. International Conference "
        "on Learning Representations, workshop, 2017. arXiv:1610.01644"
    ),
    "mwaniki2023": (
        "Mwaniki P, Kamanu T, Akech S, Dunsmuir D, Ansermino JM, Eijkemans MJC. Using self-supervised feature "
        "learning to improve the use of pulse oximeter signals to predict paediatric hospitalization. Wellcome Open"
        " Res 2023; 6: 248. doi:10.12688/wellcomeopenres.17148.2"
    ),
    "he2022": (
        "He K, Chen X, Xie S, Li Y, Dollár P, Girshick R. Masked autoencoders are scalable vision learners. "
        "IEEE/CVF Conference on Computer Vision and Pattern Recognition 2022: 16000–9. "
        "doi:10.1109/CVPR52688.2022.01553"
    ),
    "he2016": (
        "He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. IEEE Conference on Computer "
        "Vision and Pattern Recognition 2016: 770–8. doi:10.1109/CVPR.2016.90"
    ),
    "loshchilov2019": (
        "Loshchilov I, Hutter F. Decoupled weight decay regularization. International Conference on Learning "
        "Representations 2019. arXiv:1711.05101"
    ),
    "roy2007": (
        "Roy O, Vetterli M. The effective rank: a measure of effective dimensionality. European Signal Processing "
        "Conference 2007: 606–10."
    ),
    "elgendi2016": (
        "Elgendi M. Optimal signal quality index for photoplethysmogram signals. Bioengineering 2016; 3: 21. "
        "doi:10.3390/bioengineering3040021"
    ),
    "hanley1982": (
        "Hanley JA, McNeil BJ. The meaning and use of the area under a receiver operating characteristic (ROC) "
        "curve. Radiology 1982; 143: 29–36. doi:10.1148/radiology.143.1.7063747"
    ),
    "efron1993": (
        "Efron B, Tibshirani RJ. An introduction to the bootstrap. New York: Chapman & Hall, 1993. "
        "doi:10.1201/9780429246593"
    ),
    "austin2009": (
        "Austin PC. Balance diagnostics for comparing the distribution of baseline covariates between treatment "
        "groups in propensity-score matched samples. Stat Med 2009; 28: 3083–107. doi:10.1002/sim.3697"
    ),
    "collins2024": (
        "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical "
        "prediction models that use regression or machine learning methods. BMJ 2024; 385: e078378. "
        "doi:10.1136/bmj-2023-078378"
    ),
    "szegedy2016": (
        "Szegedy C, Vanhoucke V, Ioffe S, Shlens J, Wojna Z. Rethinking the Inception architecture for computer "
        "vision. IEEE Conference on Computer Vision and Pattern Recognition 2016: 2818–26. "
        "doi:10.1109/CVPR.2016.308"
    ),
    "collins2016": (
        "Collins GS, Ogundimu EO, Altman DG. Sample size considerations for the external validation of a "
        "multivariable prognostic model: a resampling study. Stat Med 2016; 35: 214–26. doi:10.1002/sim.6787"
    ),
    "orphanidou2015": (
        "Orphanidou C, Bonnici T, Charlton P, Clifton D, Vallance D, Tarassenko L. Signal-quality indices for the "
        "electrocardiogram and photoplethysmogram: derivation and applications to wireless monitoring. IEEE J "
        "Biomed Health Inform 2015; 19: 832–8. doi:10.1109/JBHI.2014.2338351"
    ),
    "sukor2011": (
        "Sukor JA, Redmond SJ, Lovell NH. Signal quality measures for pulse oximetry through waveform morphology "
        "analysis. Physiol Meas 2011; 32: 369–84. doi:10.1088/0967-3334/32/3/008"
    ),
    "airola2011": (
        "Airola A, Pahikkala T, Waegeman W, De Baets B, Salakoski T. An experimental comparison of cross-validation"
        " techniques for estimating the area under the ROC curve. Comput Stat Data Anal 2011; 55: 1828–44. "
        "doi:10.1016/j.csda.2010.11.018"
    ),
    "boulesteix2017": (
        "Boulesteix AL, De Bin R, Jiang X, Fuchs M. IPF-LASSO: integrative L1-penalized regression with penalty "
        "factors for prediction based on multi-omics data. Comput Math Methods Med 2017; 2017: 7691937. "
        "doi:10.1155/2017/7691937"
    ),
    "liang2018": (
        "Liang Y, Elgendi M, Chen Z, Ward R. An optimal filter for short photoplethysmogram signals. Sci Data 2018;"
        " 5: 180076. doi:10.1038/sdata.2018.76"
    ),
    "chen2020": (
        "Chen T, Kornblith S, Norouzi M, Hinton G. A simple framework for contrastive learning of visual "
        "representations. International Conference on Machine Learning 2020: 1597–607. arXiv:2002.05709"
    ),
    "yeh2022": (
        "Yeh CH, Hong CY, Hsu YC, Liu TL, Chen Y, LeCun Y. Decoupled contrastive learning. European Conference on "
        "Computer Vision 2022. arXiv:2110.06848"
    ),
    "wang2018": (
        "Wang F, Cheng J, Liu W, Liu H. Additive margin softmax for face verification. IEEE Signal Process Lett 2018; "
        "25: 926–30. doi:10.1109/LSP.2018.2822810"
    ),
    "bardes2022": (
        "Bardes A, Ponce J, LeCun Y. VICReg: variance-invariance-covariance regularization for self-supervised "
        "learning. International Conference on Learning Representations 2022. arXiv:2105.04906"
    ),
    "saeed2019": (
        "Saeed A, Ozcelebi T, Lukkien J. Multi-task self-supervised learning for human activity detection. Proc ACM "
        "Interact Mob Wearable Ubiquitous Technol 2019; 3: 61. doi:10.1145/3328932"
    ),
    "yamamoto2020": (
        "Yamamoto R, Song E, Kim JM. Parallel WaveGAN: a fast waveform generation model based on generative "
        "adversarial networks with multi-resolution spectrogram. IEEE International Conference on Acoustics, Speech "
        "and Signal Processing 2020: 6199–203. arXiv:1910.11480"
    ),
    "lee2025": (
        "Lee J, Kang H. SDSC: a structure-aware metric for semantic signal representation learning. 2025. "
        "arXiv:2507.14516"
    ),
    "dosovitskiy2021": (
        "Dosovitskiy A, Beyer L, Kolesnikov A, et al. An image is worth 16x16 words: transformers for image "
        "recognition at scale. International Conference on Learning Representations 2021. arXiv:2010.11929"
    ),
    "huang2022": (
        "Huang Z, Jin X, Lu C, et al. Contrastive masked autoencoders are stronger vision learners. 2022. "
        "arXiv:2207.13532"
    ),
    "zou2005": (
        "Zou H, Hastie T. Regularization and variable selection via the elastic net. J R Stat Soc B 2005; 67: 301–20. "
        "doi:10.1111/j.1467-9868.2005.00503.x"
    ),
    "carvalho2010": (
        "Carvalho CM, Polson NG, Scott JG. The horseshoe estimator for sparse signals. Biometrika 2010; 97: 465–80. "
        "doi:10.1093/biomet/asq017"
    ),
    "polson2013": (
        "Polson NG, Scott JG, Windle J. Bayesian inference for logistic models using Pólya-Gamma latent variables. "
        "J Am Stat Assoc 2013; 108: 1339–49. doi:10.1080/01621459.2013.829001"
    ),
    "makalic2016": (
        "Makalic E, Schmidt DF. A simple sampler for the horseshoe estimator. IEEE Signal Process Lett 2016; 23: "
        "179–82. doi:10.1109/LSP.2015.2503725"
    ),
    "piironen2017": (
        "Piironen J, Vehtari A. Sparsity information and regularization in the horseshoe and other shrinkage priors. "
        "Electron J Stat 2017; 11: 5018–51. doi:10.1214/17-EJS1337SI"
    ),
    "friedman2001": (
        "Friedman JH. Greedy function approximation: a gradient boosting machine. Ann Stat 2001; 29: 1189–232. "
        "doi:10.1214/aos/1013203451"
    ),
    "wolpert1992": (
        "Wolpert DH. Stacked generalization. Neural Netw 1992; 5: 241–59. doi:10.1016/S0893-6080(05)80023-1"
    ),
    "dempster2021": (
        "Dempster A, Schmidt DF, Webb GI. MiniRocket: a very fast (almost) deterministic transform for time series "
        "classification. ACM SIGKDD Conference on Knowledge Discovery and Data Mining 2021: 248–57. "
        "doi:10.1145/3447548.3467231"
    ),
    "elgendi2012": (
        "Elgendi M. On the analysis of fingertip photoplethysmogram signals. Curr Cardiol Rev 2012; 8: 14–25. "
        "doi:10.2174/157340312801215782"
    ),
    "tremper1989": (
        "Tremper KK, Barker SJ. Pulse oximetry. Anesthesiology 1989; 70: 98–108. doi:10.1097/00000542-198901000-00019"
    ),
    "vanbuuren2011": (
        "van Buuren S, Groothuis-Oudshoorn K. mice: multivariate imputation by chained equations in R. J Stat Softw "
        "2011; 45: 1–67. doi:10.18637/jss.v045.i03"
    ),
    "rubin1987": (
        "Rubin DB. Multiple imputation for nonresponse in surveys. New York: Wiley, 1987. doi:10.1002/9780470316696"
    ),
    "ilse2018": (
        "Ilse M, Tomczak J, Welling M. Attention-based deep multiple instance learning. International Conference on "
        "Machine Learning 2018: 2127–36. arXiv:1802.04712"
    ),
    "breiman1996": ("Breiman L. Bagging predictors. Mach Learn 1996; 24: 123–40. doi:10.1007/BF00058655"),
    "king2001": (
        "King G, Zeng L. Logistic regression in rare events data. Polit Anal 2001; 9: 137–63. "
        "doi:10.1093/oxfordjournals.pan.a004868"
    ),
    "goorbergh2022": (
        "van den Goorbergh R, van Smeden M, Timmerman D, Van Calster B. The harm of class imbalance corrections for "
        "risk prediction models: illustration and simulation using logistic regression. J Am Med Inform Assoc 2022; "
        "29: 1525–34. doi:10.1093/jamia/ocac093"
    ),
    "varma2006": (
        "Varma S, Simon R. Bias in error estimation when using cross-validation for model selection. BMC "
        "Bioinformatics 2006; 7: 91. doi:10.1186/1471-2105-7-91"
    ),
    "steyerberg2016": (
        "Steyerberg EW, Harrell FE. Prediction models need appropriate internal, internal-external, and external "
        "validation. J Clin Epidemiol 2016; 69: 245–7. doi:10.1016/j.jclinepi.2015.04.005"
    ),
    "kapoor2023": (
        "Kapoor S, Narayanan A. Leakage and the reproducibility crisis in machine-learning-based science. Patterns "
        "2023; 4: 100804. doi:10.1016/j.patter.2023.100804"
    ),
    "harrell1996": (
        "Harrell FE, Lee KL, Mark DB. Multivariable prognostic models: issues in developing models, evaluating "
        "assumptions and adequacy, and measuring and reducing errors. Stat Med 1996; 15: 361–87. "
        "doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4"
    ),
    "efron1997": (
        "Efron B, Tibshirani R. Improvements on cross-validation: the .632+ bootstrap method. J Am Stat Assoc 1997; "
        "92: 548–60. doi:10.1080/01621459.1997.10474007"
    ),
    "riley2023": (
        "Riley RD, Collins GS. Stability of clinical prediction models developed using statistical or machine "
        "learning methods. Biom J 2023; 65: 2200302. doi:10.1002/bimj.202200302"
    ),
    "riley2020": (
        "Riley RD, Ensor J, Snell KIE, et al. Calculating the sample size required for developing a clinical "
        "prediction model. BMJ 2020; 368: m441. doi:10.1136/bmj.m441"
    ),
    "efron1987": (
        "Efron B. Better bootstrap confidence intervals. J Am Stat Assoc 1987; 82: 171–85. "
        "doi:10.1080/01621459.1987.10478410"
    ),
    "delong1988": (
        "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated receiver operating "
        "characteristic curves: a nonparametric approach. Biometrics 1988; 44: 837–45. doi:10.2307/2531595"
    ),
    "sun2014": (
        "Sun X, Xu W. Fast implementation of DeLong's algorithm for comparing the areas under correlated receiver "
        "operating characteristic curves. IEEE Signal Process Lett 2014; 21: 1389–93. doi:10.1109/LSP.2014.2337313"
    ),
    "mcclish1989": (
        "McClish DK. Analyzing a portion of the ROC curve. Med Decis Making 1989; 9: 190–5. "
        "doi:10.1177/0272989X8900900307"
    ),
    "saito2015": (
        "Saito T, Rehmsmeier M. The precision-recall plot is more informative than the ROC plot when evaluating "
        "binary classifiers on imbalanced datasets. PLoS One 2015; 10: e0118432. doi:10.1371/journal.pone.0118432"
    ),
    "brier1950": (
        "Brier GW. Verification of forecasts expressed in terms of probability. Mon Weather Rev 1950; 78: 1–3. "
        "doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2"
    ),
    "steyerberg2010": (
        "Steyerberg EW, Vickers AJ, Cook NR, et al. Assessing the performance of prediction models: a framework for "
        "traditional and novel measures. Epidemiology 2010; 21: 128–38. doi:10.1097/EDE.0b013e3181c30fb2"
    ),
    "vancalster2019": (
        "Van Calster B, McLernon DJ, van Smeden M, Wynants L, Steyerberg EW. Calibration: the Achilles heel of "
        "predictive analytics. BMC Med 2019; 17: 230. doi:10.1186/s12916-019-1466-7"
    ),
    "austin2019": (
        "Austin PC, Steyerberg EW. The Integrated Calibration Index (ICI) and related metrics for quantifying the "
        "calibration of logistic regression models. Stat Med 2019; 38: 4051–65. doi:10.1002/sim.8281"
    ),
    "youden1950": (
        "Youden WJ. Index for rating diagnostic tests. Cancer 1950; 3: 32–5. "
        "doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3"
    ),
    "vickers2006": (
        "Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. Med Decis "
        "Making 2006; 26: 565–74. doi:10.1177/0272989X06295361"
    ),
    "holm1979": ("Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979; 6: 65–70."),
    "vandermaaten2008": (
        "van der Maaten L, Hinton G. Visualizing data using t-SNE. J Mach Learn Res 2008; 9: 2579–605."
    ),
    "moons2025": (
        "Moons KGM, Damen JAA, Kaul T, et al. PROBAST+AI: an updated quality, risk of bias, and applicability "
        "assessment tool for prediction models using regression or artificial intelligence methods. BMJ 2025; 388: "
        "e082505. doi:10.1136/bmj-2024-082505"
    ),
    "breiman1996stacked": "Breiman L. Stacked regressions. Mach Learn 1996; 24: 49–64. doi:10.1007/BF00117832",
    "sisk2023": (
        "Sisk R, Sperrin M, Peek N, van Smeden M, Martin GP. Imputation and missing indicators for handling missing "
        "data in the development and deployment of clinical prediction models: a simulation study. Stat Methods Med "
        "Res 2023; 32: 1461–77. doi:10.1177/09622802231165001"
    ),
    "noma2021": (
        "Noma H, Shinozaki T, Iba K, Teramukai S, Furukawa TA. Confidence intervals of prediction accuracy measures "
        "for multivariable prediction models based on the bootstrap-based optimism correction methods. Stat Med 2021; "
        "40: 5691–701. doi:10.1002/sim.9148"
    ),
    "harrell2015": (
        "Harrell FE. Regression modeling strategies. 2nd edition. Cham: Springer, 2015. doi:10.1007/978-3-319-19425-7"
    ),
    "firth1993": (
        "Firth D. Bias reduction of maximum likelihood estimates. Biometrika 1993; 80: 27–38. "
        "doi:10.1093/biomet/80.1.27"
    ),
    "mertens2020": (
        "Mertens BJA, Banzato E, de Wreede LC. Construction and assessment of prediction rules for binary outcome in "
        "the presence of missing predictor data using multiple imputation and cross-validation: methodological "
        "approach and data-based evaluation. Biom J 2020; 62: 724–41. doi:10.1002/bimj.201800289"
    ),
    "wilson1927": (
        "Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat Assoc 1927; 22: "
        "209–12. doi:10.1080/01621459.1927.10502953"
    ),
    "vandewiel2009": (
        "van de Wiel MA, Berkhof J, van Wieringen WN. Testing the prediction error difference between 2 predictors. "
        "Biostatistics 2009; 10: 550–60. doi:10.1093/biostatistics/kxp011"
    ),
}
